// Keys of a list: j and k choose a line, which is in the address, Enter opens it.
import { useLayoutEffect, useRef } from "preact/hooks";
import { bindKeys } from "../lib/keys.ts";
import { replaceQuery, route } from "../lib/route.ts";

/** The chosen one of `names`, which tell the lines; `noun`: what a line is. */
export function useLineKeys(noun: string, names: readonly string[], onOpen: (name: string) => void): string {
  const latest = useRef({ names, onOpen });
  latest.current = { names, onOpen };
  useLayoutEffect(() => {
    const step = (by: number) => {
      const all = latest.current.names;
      const at = all.indexOf(chosenLine());
      const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
      if (next === undefined) return;
      replaceQuery({ line: next });
      requestAnimationFrame(() => document.querySelector("tr.chosen")?.scrollIntoView({ block: "nearest" }));
    };
    return bindKeys([
      { keys: "j", what: `next ${noun}`, run: () => step(1) },
      { keys: "k", what: `${noun} before`, run: () => step(-1) },
      {
        keys: "Enter",
        what: `open the ${noun}`,
        run: () => {
          if (latest.current.names.includes(chosenLine())) latest.current.onOpen(chosenLine());
        },
      },
    ]);
  }, [noun]);
  return chosenLine();
}

function chosenLine(): string {
  return route.value.query.get("line") ?? "";
}
