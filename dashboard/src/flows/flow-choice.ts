// Which flows of the list somebody chose to do something to: one by one, a range of them, or all that match.
import { signal } from "@preact/signals";

export class FlowChoice {
  /** Those that were chosen one by one; some may have left the list since. */
  readonly ids = signal<ReadonlySet<string>>(new Set());
  /** All that match the filter, also those that are not shown. */
  readonly isWhole = signal(false);
  private last: string | null = null;

  /** The other way round for this flow; `isRange`: and the same for all between the last one and it. */
  toggle(id: string, shown: readonly string[], isRange: boolean): void {
    const chosen = new Set(this.isWhole.value ? shown : this.ids.value);
    const from = isRange && this.last !== null ? shown.indexOf(this.last) : -1;
    const to = shown.indexOf(id);
    const range = from < 0 ? [id] : shown.slice(Math.min(from, to), Math.max(from, to) + 1);
    const isChosen = from < 0 ? !chosen.has(id) : chosen.has(this.last ?? id);
    for (const one of range) {
      if (isChosen) chosen.add(one);
      else chosen.delete(one);
    }
    this.last = id;
    this.isWhole.value = false;
    this.ids.value = chosen;
  }

  /** All that are shown, or none where these all were. */
  toggleShown(shown: readonly string[]): void {
    const hasAll = this.isWhole.value || shown.every((id) => this.ids.value.has(id));
    this.isWhole.value = false;
    this.ids.value = new Set(hasAll ? [] : shown);
  }

  chooseWhole(): void {
    this.isWhole.value = true;
  }

  clear(): void {
    this.isWhole.value = false;
    this.ids.value = new Set();
    this.last = null;
  }

  /** Those of the shown that are chosen: what nobody sees any more is not meant. */
  among(shown: readonly string[]): string[] {
    return this.isWhole.value ? [...shown] : shown.filter((id) => this.ids.value.has(id));
  }
}
