// Keys of a part of the page, as long as it is there.
import { useLayoutEffect, useRef } from "preact/hooks";
import { bindKeys, type Key } from "../lib/keys.ts";

/** A key does what it says in what is shown at that moment: who holds "j" down is faster than effects. */
export function useKeys(keys: readonly Key[]): void {
  const latest = useRef(keys);
  latest.current = keys;
  const named = keys.map(({ keys: one, what }) => `${one} ${what}`).join("\n");
  useLayoutEffect(
    () =>
      bindKeys(
        latest.current.map((key) => ({
          ...key,
          run: () => latest.current.find((one) => one.keys === key.keys)?.run(),
        })),
      ),
    [named],
  );
}
