// How large the place around a canvas is, as long as it is shown.

import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

export interface Size {
  width: number;
  height: number;
}

export function usePlaceSize(canvas: RefObject<HTMLCanvasElement | null>): Signal<Size> {
  const size = useSignal<Size>({ width: 0, height: 0 });
  useEffect(() => {
    const place = canvas.current?.parentElement;
    if (!place) return;
    const observer = new ResizeObserver(() => {
      size.value = { width: place.clientWidth, height: place.clientHeight };
    });
    observer.observe(place);
    return () => observer.disconnect();
  }, [canvas, size]);
  return size;
}
