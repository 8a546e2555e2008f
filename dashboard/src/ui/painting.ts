// What canvases have in common: colours of the page, texts that fit.
const widths = new Map<string, string>();

/** A text that is no wider than the space, with dots where some of it is left out. */
export function shortened(context: CanvasRenderingContext2D, name: string, space: number): string {
  const key = `${space} ${name.slice(0, 200)}`;
  const known = widths.get(key);
  if (known !== undefined) return known;
  let text = name.slice(0, 200).replace(/\s+/g, " ");
  if (context.measureText(text).width > space) {
    let low = 0;
    let high = text.length;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (context.measureText(`${text.slice(0, middle)}…`).width <= space) low = middle;
      else high = middle - 1;
    }
    text = `${text.slice(0, low)}…`;
  }
  if (widths.size > 20_000) widths.clear();
  widths.set(key, text);
  return text;
}

/** The colours of the page as a canvas takes them, by name. */
export function coloursOf(canvas: HTMLCanvasElement): (name: string) => string {
  const style = getComputedStyle(canvas);
  const known = new Map<string, string>();
  return (name) => {
    let found = known.get(name);
    if (found === undefined) {
      found = style.getPropertyValue(`--${name}`).trim();
      known.set(name, found);
    }
    return found;
  };
}
