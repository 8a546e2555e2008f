// The next slots on two clocks, with what a change of clocks does to them.
import { iso } from "../lib/times.ts";
import type { Preview } from "./schedule-types.ts";

export function PreviewList({ preview }: { preview: Preview }) {
  const { slots, timezone, otherTimezone } = preview;
  if (slots.length === 0) return <p class="muted">It has no slot to come.</p>;
  const isOneClock = timezone === otherTimezone;
  return (
    <table class="preview">
      <thead>
        <tr>
          <th>{timezone}</th>
          {!isOneClock && <th>{otherTimezone}</th>}
        </tr>
      </thead>
      <tbody>
        {slots.map(({ slot, local, other, shift }) => (
          <tr key={slot} title={iso(Date.parse(slot))}>
            <td>
              {spaced(local)}
              {shift && <span class="shift">{shift}</span>}
            </td>
            {!isOneClock && <td class="muted">{spaced(other).replace(" +00:00", "")}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Day, time and offset apart, so that lines break between them. */
function spaced(local: string): string {
  return local.replace("T", " ").replace(/([+-]\d\d:\d\d)$/, " $1");
}
