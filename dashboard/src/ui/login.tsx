import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { logIn } from "../lib/session.ts";

/** Asks for a token, over the screen that stays as it is. */
export function Login() {
  const dialog = useRef<HTMLDialogElement>(null);
  const problem = useSignal<string | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement).get("token");
    problem.value = await logIn(String(given)).catch(() => "The API does not answer.");
  };
  return (
    <dialog ref={dialog} class="login" aria-labelledby="login-title" onCancel={(e) => e.preventDefault()}>
      <h1 id="login-title">Flower</h1>
      <form onSubmit={submit}>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required />
        <p class="hint">
          One of <code>FLOWER_API_TOKENS</code>. It is sent once; the session lasts 12 hours.
        </p>
        {problem.value !== null && (
          <p class="problem" role="alert">
            {problem.value}
          </p>
        )}
        <button type="submit" class="strong">
          Log in
        </button>
      </form>
    </dialog>
  );
}
