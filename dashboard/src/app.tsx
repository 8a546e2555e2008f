// The frame of every screen: where one can go, who looks, whether what is shown is live.
import { useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { ErrorsScreen } from "./errors/errors-screen.tsx";
import { FlowScreen } from "./flow/flow-screen.tsx";
import { FlowsScreen } from "./flows/flows-screen.tsx";
import { type Standing, standing } from "./lib/events.ts";
import { bindKeys } from "./lib/keys.ts";
import { go, hrefOf, route } from "./lib/route.ts";
import { logOut, session } from "./lib/session.ts";
import { PLACES } from "./places.ts";
import { KeysHelp } from "./ui/keys-help.tsx";
import { LazyScreen } from "./ui/lazy-screen.tsx";
import { Login } from "./ui/login.tsx";
import { Places } from "./ui/places-menu.tsx";
import { isDark, theme, toggleTheme } from "./ui/theme.ts";

const WORDS: Record<Standing, string> = {
  connecting: "connecting",
  live: "live",
  away: "API is away, trying again",
  waiting: "Postgres is away: shown as of before",
};

export function App() {
  const isHelpShown = useSignal(false);
  useLayoutEffect(
    () =>
      bindKeys([
        { keys: "?", what: "these keys", run: () => (isHelpShown.value = !isHelpShown.value) },
        { keys: "Escape", what: "close what is open", run: () => (isHelpShown.value = false) },
        ...PLACES.map(({ section, name, key }) => ({
          keys: `g ${key}`,
          what: `go to ${name.toLowerCase()}`,
          run: () => go([section]),
        })),
        {
          keys: "g s",
          what: "go to flows that stand still",
          run: () => go(["flows"], { status: "suspend" }),
        },
        { keys: "t", what: "dark or light", run: toggleTheme },
      ]),
    [isHelpShown],
  );
  const known = session.value;
  if (known === null) return null;
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to content
      </button>
      <Header />
      <main id="main" tabIndex={-1}>
        {known.isKnown && <Screen />}
      </main>
      {!known.isKnown && <Login />}
      {isHelpShown.value && <KeysHelp onClose={() => (isHelpShown.value = false)} />}
    </>
  );
}

function Screen() {
  const [section = "flows", id] = route.value.path;
  if (section === "flows") return id === undefined ? <FlowsScreen /> : <FlowScreen key={id} id={id} />;
  if (section === "errors") return <ErrorsScreen />;
  const load = PLACES.find((one) => one.section === section)?.load;
  if (load) return <LazyScreen load={load} />;
  return (
    <div class="empty">
      <h1>There is no such page</h1>
      <p>
        <a href={hrefOf(["flows"])}>All flows</a>
      </p>
    </div>
  );
}

function Header() {
  const known = session.value;
  void theme.value;
  return (
    <header class="top">
      <a class="brand" href={hrefOf(["flows"])}>
        <img src="ui/icon.svg" alt="" width="20" height="20" />
        Flower
      </a>
      <Places />
      <span class="grow" />
      {known?.isKnown && (
        <span class={`standing ${standing.value}`} role="status">
          {WORDS[standing.value]}
        </span>
      )}
      <button type="button" class="quiet" onClick={toggleTheme} title="Dark or light (t)">
        {isDark() ? "Light" : "Dark"}
      </button>
      {known?.needsToken && known.isKnown && (
        <button type="button" class="quiet" onClick={logOut}>
          <span class="who">{known.name}</span>
          {known.mayOperate ? "" : " (reads)"} · Log out
        </button>
      )}
    </header>
  );
}
