// What a schedule's definition may say, as the schema that its form is made from.
import { fieldsOf, type Schema } from "../schema/schema-fields.ts";
import { HERE } from "./schedule-words.ts";

const text = (description: string): Schema => ({ type: "string", description });
const number = (description: string, fallback?: number): Schema => ({
  type: "number",
  description,
  ...(fallback !== undefined && { default: fallback }),
});

const NAME = {
  schedule: { title: "Name", ...text("Of the schedule; without slashes.") },
};

const DEFINITION: Record<string, Schema> = {
  taskId: { title: "Workflow", ...text("Of which it registers flows.") },
  cron: {
    title: "Cron",
    ...text('5 fields, or 6 with seconds first: "0 3 * * 1-5". Or @daily and its like.'),
  },
  everySeconds: { title: "Every so many seconds", ...number("Instead of cron: a fixed interval.") },
  at: { title: "Once, at", ...text("Instead of both: 2026-12-24T18:00:00.") },
  timezone: { title: "Time zone", type: "string", default: "UTC", description: `Such as ${HERE}.` },
  parameters: {
    title: "Parameters",
    type: "object",
    default: {},
    description: 'Of its flows. {"$slot": "date"} stands for the date of the slot.',
  },
  overlap: {
    title: "While a flow of it is under way",
    enum: ["skip", "allow", "queue_one", "queue", "cancel", "strict"],
    default: "skip",
  },
  catchUp: {
    title: "Slots that nobody watched",
    enum: ["latest", "all", "none"],
    default: "latest",
  },
};

const SELDOM: Record<string, Schema> = {
  starts: { title: "Not before", ...text("The first moment that may be a slot.") },
  ends: { title: "Not after", ...text("The last one.") },
  anchor: { title: "Counted from", ...text("Of an interval.") },
  windowSeconds: { title: "May be late by so many seconds", ...number("One interval, a day at most.") },
  maxCatchUp: { title: "Most flows that are caught up on", ...number("", 10) },
  jitterSeconds: { title: "Spread over so many seconds", ...number("", 0) },
  exceptDates: {
    title: "Except on these days",
    type: "array",
    default: [],
    description: 'As JSON: ["2026-12-25"].',
  },
  calendar: { title: "Except on the days of this calendar", ...text("") },
  pauseAfterFailures: { title: "Paused after so many failures in a row", ...number("") },
  priority: { title: "Priority of its tasks", ...number("−20 (first) to 19.") },
};

const FIRST = fieldsOf({ properties: { ...NAME, ...DEFINITION }, required: ["schedule", "taskId"] });
const STANDING = fieldsOf({ properties: DEFINITION, required: ["taskId"] });
const MORE = fieldsOf({ properties: SELDOM });

/** Of a schedule that is there already, its name is not asked for. */
export const fieldsOfSchedule = (isNew: boolean) => [...(isNew ? FIRST : STANDING), ...MORE];
