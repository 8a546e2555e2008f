// How long things take, for whoever measures (make bench-ui, a browser's own tools); nothing of it is kept.

/** Tells whoever observes that something took from then until now. */
export function took(name: string, beganMs: number): void {
  performance.measure(name, { start: beganMs });
  performance.clearMeasures(name);
}
