import { STAGE_PATHS, STAGE_WORDS, type Stage } from "../lib/statuses.ts";

/** A shape in its colour, and its word for who cannot see it; `isNamed`: the word stands beside it anyway. */
export function StatusMark({ stage, word, isNamed }: { stage: Stage; word?: string; isNamed?: boolean }) {
  const name = word ?? STAGE_WORDS[stage];
  if (isNamed) {
    return (
      <svg class={`mark ${stage}`} viewBox="0 0 16 16" aria-hidden="true">
        <path d={STAGE_PATHS[stage]} />
      </svg>
    );
  }
  return (
    <svg class={`mark ${stage}`} viewBox="0 0 16 16" role="img" aria-label={name}>
      <title>{name}</title>
      <path d={STAGE_PATHS[stage]} />
    </svg>
  );
}
