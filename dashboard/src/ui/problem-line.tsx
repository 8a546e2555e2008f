/** What went wrong, read out as soon as it is there. */
export function ProblemLine({ words }: { words: string | null }) {
  if (words === null) return null;
  return (
    <p class="problem" role="alert">
      {words}
    </p>
  );
}
