// Dark or light: as the system has it, until somebody chooses.
import { signal } from "@preact/signals";

type Theme = "system" | "light" | "dark";
const KEPT = "flower-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = signal<Theme>(kept());
/** Moves when colours change: what paints on a canvas paints anew. */
export const paintings = signal(0);

function kept(): Theme {
  try {
    const found = localStorage.getItem(KEPT);
    return found === "light" || found === "dark" ? found : "system";
  } catch {
    return "system";
  }
}

export function isDark(): boolean {
  return theme.value === "dark" || (theme.value === "system" && dark.matches);
}

export function toggleTheme(): void {
  theme.value = isDark() ? "light" : "dark";
  try {
    localStorage.setItem(KEPT, theme.value);
  } catch {
    // it is forgotten with the page
  }
  show();
}

function show(): void {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  paintings.value += 1;
}

dark.addEventListener("change", show);
show();
