import type { Signal } from "@preact/signals";

interface Props {
  label: string;
  text: Signal<string>;
  placeholder?: string;
  type?: "text" | "datetime-local" | "number";
}

/** A labelled line of text in a dialog or form. */
export function TextField({ label, text, placeholder = "", type = "text" }: Props) {
  const write = (event: { currentTarget: HTMLInputElement }) => {
    text.value = event.currentTarget.value;
  };
  const id = `text-${label.replace(/[^A-Za-z]+/g, "-")}`;
  return (
    <div class="text-field">
      <label for={id}>{label}</label>
      {type === "datetime-local" ? (
        <input id={id} type="datetime-local" step="1" value={text.value} onInput={write} />
      ) : (
        <input
          id={id}
          inputMode={type === "number" ? "decimal" : "text"}
          placeholder={placeholder}
          autocomplete="off"
          value={text.value}
          onInput={write}
        />
      )}
    </div>
  );
}
