import { l402Tools, toolApproval } from "@l402-tools/ai-sdk";
import { convertToModelMessages, createUIMessageStream, createUIMessageStreamResponse, isStepCount, streamText, toUIMessageStream, validateUIMessages } from "ai";
import { z } from "zod";
import type { ChatMessage } from "@/lib/messages";
import { chooseModel, instructions } from "@/lib/model";
import { getWorld } from "@/lib/world";

const Body = z.object({ id: z.string().min(1).max(100), messages: z.array(z.unknown()).max(500) });

export async function POST(request: Request): Promise<Response> {
  const { origin, host } = Object.fromEntries(request.headers);
  if (origin !== undefined && URL.parse(origin)?.host !== host) return new Response("Not from this page.", { status: 403 });
  const body = Body.safeParse(await request.json().catch(() => undefined));
  if (!body.success) return new Response("Not a chat.", { status: 400 });
  const { id } = body.data;

  const world = await getWorld();
  const { model } = chooseModel(world.shop.url);

  /** What the page shows of an error; the rest of it is for the server's log. */
  const sayError = (error: unknown): string => {
    if (!request.signal.aborted) console.error(error);
    return "Something went wrong in the server. The budget shows what was paid.";
  };
  const stream = createUIMessageStream<ChatMessage>({
    async execute({ writer }) {
      const tools = l402Tools(world.client, {
        thread: id,
        allowHosts: [new URL(world.shop.url).host], // tools reach only https and public hosts, unless a host is opened by name
        onApproval: (question) => writer.write({ type: "data-l402-approval", id: question.toolCallId, data: question }),
      });
      const messages = await validateUIMessages<ChatMessage>({ messages: body.data.messages, tools });
      const unwatch = world.watch((data) => writer.write({ type: "data-l402-budget", data, transient: true }));
      try {
        const result = streamText({
          model,
          instructions: instructions(world.shop.url),
          messages: await convertToModelMessages(messages, { tools, ignoreIncompleteToolCalls: true }),
          tools,
          toolApproval: toolApproval(tools),
          // The history comes from the browser: without a signature anyone could write a "yes" into it.
          experimental_toolApprovalSecret: world.secret,
          stopWhen: isStepCount(8),
          abortSignal: request.signal,
          onError: () => {}, // told, and logged, where the stream is made
        });
        writer.merge(toUIMessageStream({ stream: result.stream, tools, originalMessages: messages, onError: sayError }));
        await result.steps.then(undefined, () => {});
      } finally {
        unwatch();
        writer.write({ type: "data-l402-budget", data: await world.budget(), transient: true });
      }
    },
    onError: sayError,
  });
  return createUIMessageStreamResponse({ stream });
}
