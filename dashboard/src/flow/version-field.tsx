import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, isAborted } from "../lib/api.ts";
import { moment } from "../lib/times.ts";
import type { LiveFlow } from "./live-flow.ts";

interface Version {
  number: number;
  createdTs: string;
}

/** Which version of the workflow; "" is the one that the flow has. */
export function VersionField({ live, value, none }: { live: LiveFlow; value: Signal<string>; none: string }) {
  const versions = useSignal<Version[]>([]);
  const workflow = live.plan.value?.taskId ?? "";
  useEffect(() => {
    const ending = new AbortController();
    const path = `workflows/${workflow.split("/").map(encodeURIComponent).join("/")}/versions?limit=50`;
    ask<{ versions: Version[] }>(path, ending.signal).then(
      (page) => (versions.value = page.versions),
      (error: unknown) => {
        if (!isAborted(error)) versions.value = [];
      },
    );
    return () => ending.abort();
  }, [workflow, versions]);
  if (versions.value.length < 2) return null;
  return (
    <label>
      <span>Version of the workflow</span>
      <select value={value.value} onChange={(event) => (value.value = event.currentTarget.value)}>
        <option value="">{none}</option>
        {versions.value.map(({ number, createdTs }) => (
          <option key={number} value={String(number)}>
            {number}
            {` · ${moment(Date.parse(createdTs))}`}
          </option>
        ))}
      </select>
    </label>
  );
}
