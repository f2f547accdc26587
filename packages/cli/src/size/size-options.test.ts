import { Command, CommanderError } from "commander";
import { expect, test } from "vitest";
import { addSizeOptions, type SizeFlags, sizeOptionsOf } from "./size-options.ts";

function parsed(...args: string[]): ReturnType<typeof sizeOptionsOf> {
  const command = addSizeOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  command.parse(args, { from: "user" });
  return sizeOptionsOf("model", command.opts<SizeFlags>());
}

test("without options everything is the library's default", () => {
  expect(parsed()).toEqual({
    model: "model",
    rule: "exact",
    sequences: 1,
    encoderTokens: 0,
    format: { keys: "fp16", values: "fp16" },
    sharding: { tensor: 1, pipeline: 1, data: 1, context: 1 },
  });
});

test("every option arrives", () => {
  const args = "--context 4096 --sequences 3 --encoder-tokens 9 --rule vllm --block 32 --tp 2 --pp 3 --dp 4 --cp 5";
  const types = "--k-dtype q8_0 --v-dtype q4_0 --indexer-dtype mxfp4 --state-dtype bf16 --conv-dtype fp32";
  expect(parsed(...args.split(" "), ...types.split(" "))).toEqual({
    model: "model",
    rule: "vllm",
    tokens: 4096,
    sequences: 3,
    encoderTokens: 9,
    format: { keys: "q8_0", values: "q4_0", indexer: "mxfp4", state: "bf16", conv: "fp32" },
    tokensPerBlock: 32,
    sharding: { tensor: 2, pipeline: 3, data: 4, context: 5 },
  });
});

test("--tokens is another word for --context", () => {
  expect(parsed("--tokens", "100")).toEqual(parsed("--context", "100"));
});

test("--dtype is for both, --k-dtype and --v-dtype for one", () => {
  expect(parsed("--dtype", "bf16").format).toEqual({ keys: "bf16", values: "bf16" });
  expect(parsed("--dtype", "bf16", "--v-dtype", "fp8_e4m3").format).toEqual({ keys: "bf16", values: "fp8_e4m3" });
});

test("knobs have the engine's names, with dashes or without", () => {
  const knobs = [
    "swa-full",
    "flash-attn=false",
    "ctxSize=8192",
    "--ubatch-size=512",
    "cache=static",
    "swa-full-tokens-ratio=0.25",
    "max-attention-window=512,4096",
  ];
  expect(parsed(...knobs.flatMap((knob) => ["--knob", knob])).knobs).toEqual({
    swaFull: true,
    flashAttn: false,
    ctxSize: 8192,
    ubatchSize: 512,
    cache: "static",
    swaFullTokensRatio: 0.25,
    maxAttentionWindow: [512, 4096],
  });
});

test.each([
  ["--tokens", "-1"],
  ["--tokens", "1e6"],
  ["--tp", "0"],
  ["--dtype", "fp15"],
  ["--k-dtype", "fp15"],
  ["--rule", "ollama"],
  ["--knob", "=1"],
  ["--knob", "name="],
])("%s %s is refused", (...args) => {
  expect(() => parsed(...args)).toThrow(CommanderError);
});
