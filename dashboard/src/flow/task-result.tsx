import type { TaskDetail } from "../lib/types.ts";
import { JsonView } from "../ui/json-view.tsx";

const LARGE = 20_000; // characters: from there on it can be had as a file

/** What a task gave: as a tree, and as a file where it is large. */
export function TaskResult({ detail }: { detail: TaskDetail }) {
  const hasResult = detail.status === "Finish" || detail.result !== null || detail.hasStandIn;
  if (!hasResult) return null;
  return (
    <section>
      <h3>{detail.hasStandIn ? "Result in its place" : "Result"}</h3>
      <ResultView
        result={detail.result}
        blob={detail.blob}
        name={`${detail.taskName ?? detail.taskExecSeq}.json`}
      />
    </section>
  );
}

/** A value, or where it lies in a store of blobs. */
export function ResultView({
  result,
  blob,
  name,
}: {
  result: unknown;
  blob: TaskDetail["blob"];
  name: string;
}) {
  if (blob === null) return <Shown result={result} name={name} />;
  return (
    <a href={`blobs/${blob.sha256}`} download={`${blob.sha256}.json`}>
      Download ({blob.bytes.toLocaleString()} bytes)
    </a>
  );
}

function Shown({ result, name }: { result: unknown; name: string }) {
  const text = JSON.stringify(result) ?? "null";
  const save = () => {
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
    URL.revokeObjectURL(address);
  };
  return (
    <>
      <JsonView value={result} />
      {text.length > LARGE && (
        <button type="button" onClick={save}>
          Download ({text.length.toLocaleString()} characters)
        </button>
      )}
    </>
  );
}
