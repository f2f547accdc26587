import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packText, unpackText } from "./packed-text.ts";
import { DEFAULT_STATE, FIELD_NAMES, type PlannerState } from "./planner-state.ts";
import { linkOf, stateOfLink } from "./state-link.ts";

const anyText = fc.string({ unit: "binary", maxLength: 40 });
const anyKnobs = fc.dictionary(
  fc.constantFrom("llama.cpp.swaFull", "llama.cpp.ctxSize", "vllm.blockSize"),
  anyText.filter((text) => text !== ""),
);
const anyState: fc.Arbitrary<PlannerState> = fc.record({
  ...(Object.fromEntries(FIELD_NAMES.map((field) => [field, anyText])) as Record<
    (typeof FIELD_NAMES)[number],
    typeof anyText
  >),
  knobs: anyKnobs,
});

describe("linkOf", () => {
  test("says nothing of the page's first state", async () => {
    expect(await linkOf(DEFAULT_STATE)).toBe("");
  });

  test("names what was chosen, readably", async () => {
    const state = { ...DEFAULT_STATE, card: "h100-80gb", tp: "8", rule: "vllm", knobs: { "vllm.blockSize": "32" } };
    expect(await linkOf(state)).toBe("card=h100-80gb&tp=8&rule=vllm&vllm.blockSize=32");
  });

  test("is undone by stateOfLink, whatever was typed", async () => {
    await fc.assert(
      fc.asyncProperty(anyState, async (state) => {
        expect(await stateOfLink(`#${await linkOf(state)}`)).toEqual(state);
      }),
    );
  });

  test("carries a long config.json in a short link", async () => {
    const layerTypes = Array.from({ length: 96 }, (_, i) => (i % 6 === 5 ? "full_attention" : "sliding_attention"));
    const source = JSON.stringify({ model_type: "gemma3_text", layer_types: layerTypes }, null, 2);
    const link = await linkOf({ ...DEFAULT_STATE, model: "own", source });
    expect(source.length).toBeGreaterThan(2000);
    expect(link.length).toBeLessThan(250);
    expect((await stateOfLink(link)).source).toBe(source);
  });
});

describe("stateOfLink", () => {
  test("takes any fragment without failing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (fragment) => {
        const state = await stateOfLink(fragment);
        for (const field of FIELD_NAMES) expect(state[field]).toBeTypeOf("string");
      }),
    );
  });

  test("keeps wrong values for the page to show", async () => {
    const state = await stateOfLink("#context=-5&keys=fp7&model=no-such-model");
    expect(state).toMatchObject({ context: "-5", keys: "fp7", model: "no-such-model" });
  });

  test("shows the packed text of a link that was cut", async () => {
    const packed = await packText('{"model_type": "llama", "hidden_size": 4096}');
    const cut = packed.slice(0, 20);
    expect(await unpackText(cut)).toBeNull();
    expect((await stateOfLink(`model=own&source=${cut}`)).source).toBe(cut);
  });

  test("does not unpack a small link to a huge text", async () => {
    const bomb = await packText("0".repeat(2 ** 22));
    expect(bomb.length).toBeLessThan(10_000);
    expect(await unpackText(bomb)).toHaveLength(2 ** 22);
    const zeros = new Uint8Array(2 ** 23);
    const stream = new Blob([zeros]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    const larger = Buffer.from(await new Response(stream).arrayBuffer()).toString("base64url");
    expect(await unpackText(larger)).toBeNull();
  });
});
