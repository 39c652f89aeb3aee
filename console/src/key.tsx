/** Asking for an API key. */

import { useState } from "preact/hooks";
import { hasKey, setKey } from "./server";
import { Dialog, Input } from "./ui";

export function KeyDialog({ asked, onClose }: { asked?: boolean; onClose: () => void }) {
  const [key, setTyped] = useState("");
  const form = (
    <form
      class="key"
      onSubmit={(event) => {
        event.preventDefault();
        setKey(key.trim());
        onClose();
      }}
    >
      {asked && (
        <p role="alert">
          {hasKey() ? "The server does not know this key (401). Give another one." : "This server asks for an API key (401)."}
        </p>
      )}
      <Input
        label="API key"
        type="password"
        value={key}
        onValue={setTyped}
        first
        hint="Kept in this tab only, and sent to this server only."
      />
      <footer>
        {hasKey() && (
          <button type="button" onClick={() => { setKey(""); onClose(); }}>Forget the key</button>
        )}
        <button class="primary" disabled={!key.trim()}>Use this key</button>
      </footer>
    </form>
  );
  if (asked) return <section class="card narrow"><h2>Sign in</h2>{form}</section>;
  return <Dialog title="API key" onClose={onClose}>{form}</Dialog>;
}
