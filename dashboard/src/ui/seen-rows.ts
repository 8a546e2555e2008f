// Of a long list only the rows that are seen are in the page; this says which.
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

const BEYOND = 8;

/** The first and the last row (from 0 on) of a list that is scrolled in an element. */
export function useSeenRows(
  place: RefObject<HTMLElement | null>,
  rowHeight: number,
  count: number,
): { first: number; last: number } {
  const seen = useSignal({ top: 0, height: 600 });
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const look = () => {
      seen.value = { top: element.scrollTop, height: element.clientHeight };
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => observer.disconnect();
  }, [seen]);
  return {
    first: Math.max(0, Math.floor(seen.value.top / rowHeight) - BEYOND),
    last: Math.min(count - 1, Math.ceil((seen.value.top + seen.value.height) / rowHeight) + BEYOND),
  };
}
