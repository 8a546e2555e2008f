// What would become of flows, in words.
import { counted } from "../lib/counts.ts";
import type { Concerned } from "./bulk-types.ts";

const PARTS = [
  ["runs", "will run again"],
  ["reopens", "will wait again"],
  ["within", "will go on with their children"],
  ["askedAgain", "will be asked anew"],
  ["passedOver", "will be passed over"],
  ["vanished", "will vanish"],
  ["matched", "will keep what items came to that are the same again"],
  ["cutOff", "will be cut off"],
  ["cleanup", "will clean up first"],
  ["heldUp", "would start, but must wait for a place or the end of a pause"],
] as const;

/** Where no task moves, that is all there is to say. */
const DID: Record<string, string> = {
  pause: "nothing more starts",
  nothing: "it is paused already",
  resume: "what is ready starts again",
  priority: "all tasks have the priority",
};

export function effectOf({ taskFlowId, did, effect, refusal }: Concerned): string {
  if (refusal !== undefined) return refusal.replace(`flow ${taskFlowId}: `, ""); // it stands before that
  if (effect === undefined) return "not looked at";
  const said = PARTS.filter(([name]) => effect[name] > 0).map(
    ([name, words]) => `${counted(effect[name], "task")} ${words}`,
  );
  if (effect.elsewhere > 0) said.push(`${counted(effect.elsewhere, "other flow")} of its tree with it`);
  if (effect.ends) said.push("the flow ends");
  return said.join(", ") || DID[did ?? ""] || "nothing";
}

/** The same of several flows together. */
export function effectOfAll(flows: Concerned[]): string {
  const effects = flows.flatMap(({ effect }) => effect ?? []);
  const said = PARTS.flatMap(([name, words]) => {
    const tasks = effects.reduce((sum, effect) => sum + effect[name], 0);
    return tasks === 0 ? [] : [`${counted(tasks, "task")} ${words}`];
  });
  const ends = effects.filter(({ ends: isOver }) => isOver).length;
  const elsewhere = effects.reduce((sum, effect) => sum + effect.elsewhere, 0);
  const refused = flows.filter(({ refusal }) => refusal !== undefined).length;
  if (elsewhere > 0) said.push(`${counted(elsewhere, "other flow")} of their trees with them`);
  if (ends > 0) said.push(`${counted(ends, "flow")} ${ends === 1 ? "ends" : "end"}`);
  for (const [did, words] of Object.entries(DID)) {
    const many = flows.filter((one) => one.did === did && one.refusal === undefined).length;
    if (many > 0) said.push(`${counted(many, "flow")}: ${words}`);
  }
  if (refused > 0) said.push(`${counted(refused, "flow")} will refuse`);
  return said.join(", ");
}
