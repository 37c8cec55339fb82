import { Desk } from "@/components/desk";
import { suggestions } from "@/lib/catalogue";
import { chooseModel } from "@/lib/model";
import { ASK_ABOVE_SATS, getWorld } from "@/lib/world";

export const dynamic = "force-dynamic";

export default async function Page() {
  const world = await getWorld();
  return (
    <Desk
      world={world.id}
      chatId={crypto.randomUUID()}
      budget={await world.budget()}
      askAboveSats={ASK_ABOVE_SATS}
      model={chooseModel(world.shop.url).name}
      suggestions={suggestions}
    />
  );
}
