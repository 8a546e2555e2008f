/** What an engine without flows shows: how the first one comes to be. */
export function Beginning() {
  return (
    <div class="empty beginning">
      <h2>No flow yet</h2>
      <p>
        Programs are functions; a workflow calls them. Write this into <code>hello.py</code>:
      </p>
      <pre>{`from flower_engine import program, workflow

@program
def greet(name: str) -> str:
    return f"Hello, {name}!"

@workflow("hello")
def hello(name: str = "world"): return greet.step(name)`}</pre>
      <p>Start this engine with it, deploy the workflow, and start a flow:</p>
      <pre>{`flower up --programs hello
flower deploy hello.py
flower register hello name=Ada`}</pre>
      <p class="muted">The flow shows up here as soon as it is registered.</p>
    </div>
  );
}
