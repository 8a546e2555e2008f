// The graph: one canvas, to be dragged and zoomed; the list beside it says the same to who cannot see it.
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { took } from "../lib/tracing.ts";
import { usePlaceSize } from "../ui/place-size.ts";
import { paintings } from "../ui/theme.ts";
import { paint } from "./dag-paint.ts";
import { centred, fitted, showing, taskAt, type View } from "./dag-view.ts";
import type { ShownFlow } from "./shown-flow.ts";

interface Props {
  live: ShownFlow;
  chosen: number | null;
  onChoose: (task: number | null) => void;
}

const STEP = 1.15;

export function DagCanvas({ live, chosen, onChoose }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = usePlaceSize(canvas);
  const view = useSignal<View | null>(null);
  const marked = useSignal(chosen);
  const pending = useRef(0);
  marked.value = chosen;

  useSignalEffect(() => {
    const layout = live.layout.value;
    const { width, height } = size.value;
    if (layout !== null && width > 0 && view.peek() === null) {
      const first = fitted(layout, width, height);
      const task = marked.peek();
      view.value = task === null ? first : centred(layout, first, live.drawnAs(task), width, height);
    }
    const seen = view.value;
    void live.frame.value;
    void paintings.value;
    void marked.value;
    if (seen === null || pending.current !== 0) return;
    pending.current = requestAnimationFrame(() => {
      pending.current = 0;
      const now = view.peek();
      if (canvas.current === null || now === null) return;
      const began = performance.now();
      paint(canvas.current, { live, view: now, chosen: marked.peek(), ...size.peek() });
      took("flow-painted", began);
    });
  });

  useEffect(() => {
    const layout = live.layout.peek();
    const seen = view.peek();
    if (chosen === null || layout === null || seen === null) return;
    view.value = showing(layout, seen, live.drawnAs(chosen), size.peek().width, size.peek().height);
  }, [chosen, live, size, view]);

  const zoom = (by: number, x = size.peek().width / 2, y = size.peek().height / 2) => {
    const seen = view.peek();
    if (seen === null) return;
    const scale = Math.max(0.05, Math.min(2, seen.scale * by));
    const factor = scale / seen.scale;
    view.value = { scale, x: x - (x - seen.x) * factor, y: y - (y - seen.y) * factor };
  };

  const drag = useRef<{ x: number; y: number; moved: boolean } | null>(null);
  return (
    <div class="dag">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Graph of ${live.count} tasks; the list of tasks has each of them`}
        onWheel={(event) => {
          event.preventDefault();
          const place = event.currentTarget.getBoundingClientRect();
          if (event.ctrlKey || event.metaKey) {
            zoom(event.deltaY < 0 ? STEP : 1 / STEP, event.clientX - place.left, event.clientY - place.top);
          } else if (view.value !== null) {
            view.value = { ...view.value, x: view.value.x - event.deltaX, y: view.value.y - event.deltaY };
          }
        }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = { x: event.clientX, y: event.clientY, moved: false };
        }}
        onPointerMove={(event) => {
          const from = drag.current;
          if (from === null || view.value === null) return;
          const dx = event.clientX - from.x;
          const dy = event.clientY - from.y;
          if (!from.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
          drag.current = { x: event.clientX, y: event.clientY, moved: true };
          view.value = { ...view.value, x: view.value.x + dx, y: view.value.y + dy };
        }}
        onPointerUp={(event) => {
          const layout = live.layout.value;
          const place = event.currentTarget.getBoundingClientRect();
          if (drag.current?.moved === false && layout !== null && view.value !== null) {
            onChoose(taskAt(layout, view.value, event.clientX - place.left, event.clientY - place.top));
          }
          drag.current = null;
        }}
      />
      <div class="zoom">
        <button type="button" onClick={() => zoom(STEP * STEP)} aria-label="Larger">
          +
        </button>
        <button type="button" onClick={() => zoom(1 / STEP / STEP)} aria-label="Smaller">
          −
        </button>
        <button
          type="button"
          onClick={() => {
            const layout = live.layout.value;
            if (layout !== null) view.value = fitted(layout, size.value.width, size.value.height);
          }}
        >
          Fit
        </button>
      </div>
    </div>
  );
}
