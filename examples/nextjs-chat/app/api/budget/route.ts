import { getWorld } from "@/lib/world";

export const dynamic = "force-dynamic";

export async function GET(): Promise<Response> {
  const world = await getWorld();
  return Response.json(await world.budget(), { headers: { "cache-control": "no-store" } });
}
