/** Deleting a collection, which asks for its name. */

import { ask } from "./server";
import { Confirm } from "./ui";

export function DeleteCollection({ name, onClose, onDone }: { name: string; onClose: () => void; onDone: () => void }) {
  const remove = async () => {
    await ask((db) => db.delete("/v1/collections/{collection}", { path: { collection: name } }));
    onDone();
  };
  return (
    <Confirm title="Delete collection" action="Delete" word={name} onYes={remove} onClose={onClose}>
      Deletes <b>{name}</b>, its points and its indexes. This cannot be undone.
    </Confirm>
  );
}
