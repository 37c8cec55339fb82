/** Who talks: the script, or with a key in the environment a real model. */
import { anthropic } from "@ai-sdk/anthropic";
import { openai } from "@ai-sdk/openai";
import type { LanguageModel } from "ai";
import { catalogue } from "./catalogue";
import { scriptedModel } from "./scripted-model";
import { ASK_ABOVE_SATS, BUDGET_SATS } from "./world";

export function chooseModel(origin: string): { readonly model: LanguageModel; readonly name: string } {
  const { ANTHROPIC_API_KEY, MODEL, OPENAI_API_KEY } = process.env;
  if (OPENAI_API_KEY) {
    const name = MODEL ?? "gpt-5.6";
    return { model: openai(name), name };
  }
  if (ANTHROPIC_API_KEY) {
    const name = MODEL ?? "claude-sonnet-5-5";
    return { model: anthropic(name), name };
  }
  return { model: scriptedModel(origin), name: "scripted model" };
}

export function instructions(origin: string): string {
  const goods = catalogue.map(({ path, title, priceSats }) => `- ${origin}${path}: ${title} (${priceSats} sats)`);
  return [
    "You answer questions with data that you buy over HTTP with l402_fetch. Be brief. Say what the data says and nothing that it does not.",
    `The budget is ${BUDGET_SATS} sats. Payments above ${ASK_ABOVE_SATS} sats are shown to the user, who may refuse them; do not ask for permission in words.`,
    "There is nothing else to buy than this:",
    ...goods,
  ].join("\n");
}
