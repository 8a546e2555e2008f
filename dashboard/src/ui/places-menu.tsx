// Where one can go: a row of links, on narrow pages a menu.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { hrefOf, route } from "../lib/route.ts";
import { PLACES } from "../places.ts";

export function Places() {
  const isOpen = useSignal(false);
  const here = route.value.path[0] ?? "flows";
  useEffect(() => {
    isOpen.value = false;
  }, [route.value, isOpen]);
  return (
    <nav aria-label="Screens" class={isOpen.value ? "places open" : "places"}>
      <button
        type="button"
        class="places-menu"
        aria-expanded={isOpen.value}
        onClick={() => (isOpen.value = !isOpen.value)}
      >
        {PLACES.find(({ section }) => section === here)?.name ?? "Screens"}
        <span aria-hidden="true"> ▾</span>
      </button>
      <span class="places-list">
        {PLACES.map(({ section, name }) => (
          <a key={section} href={hrefOf([section])} aria-current={section === here ? "page" : undefined}>
            {name}
          </a>
        ))}
        <a href="docs">API</a>
      </span>
    </nav>
  );
}
