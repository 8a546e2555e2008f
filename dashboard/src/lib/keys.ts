// The keyboard: single keys and pairs ("g f"), never while somebody types.
import { signal } from "@preact/signals";

export interface Key {
  keys: string;
  what: string;
  run: () => void;
}

const PAIR_MS = 1_200;
const layers: Key[][] = [];
export const shownKeys = signal<Key[]>([]);

/** Adds keys until the function that it returns is called; later ones come before earlier ones. Whoever shows
 * something adds its keys in a layout effect: they work as soon as it is seen, and not a moment later. */
export function bindKeys(keys: Key[]): () => void {
  layers.push(keys);
  shownKeys.value = layers.flat();
  return () => {
    layers.splice(layers.indexOf(keys), 1);
    shownKeys.value = layers.flat();
  };
}

let first = "";
let firstAt = 0;

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping =
    event.target instanceof Element &&
    event.target.closest("input:not([type=checkbox]), textarea, select") !== null;
  if (isTyping && event.key !== "Escape") return;
  const isPressing = event.target instanceof Element && event.target.closest("a, button, summary") !== null;
  if (isPressing && event.key === "Enter") return; // it presses what has the focus
  const pair = Date.now() - firstAt < PAIR_MS ? `${first} ${event.key}` : "";
  const found = find(pair) ?? find(event.key);
  first = event.key;
  firstAt = found === undefined ? Date.now() : 0;
  if (found !== undefined) {
    event.preventDefault();
    found.run();
  }
});

function find(keys: string): Key | undefined {
  for (const layer of [...layers].reverse()) {
    const found = layer.find((one) => one.keys === keys);
    if (found !== undefined) return found;
  }
  return undefined;
}
