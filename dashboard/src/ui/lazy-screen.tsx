// A screen whose code is fetched when somebody goes there.
import { useSignal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { useEffect } from "preact/hooks";
import { ProblemLine } from "./problem-line.tsx";

export type Loading = () => Promise<FunctionComponent>;

export function LazyScreen({ load }: { load: Loading }) {
  const loaded = useSignal<{ load: Loading; screen: FunctionComponent } | null>(null);
  const problem = useSignal<string | null>(null);
  useEffect(() => {
    load().then(
      (screen) => {
        loaded.value = { load, screen };
        problem.value = null;
      },
      () => (problem.value = "This screen could not be fetched. Load the page anew."),
    );
  }, [load, loaded, problem]);
  const Screen = loaded.value?.load === load ? loaded.value.screen : null;
  return Screen === null ? <ProblemLine words={problem.value} /> : <Screen />;
}
