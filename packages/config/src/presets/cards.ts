/** A card, and the bytes that its driver reports as total. */
export interface Card {
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  /** Where that figure was printed. */
  readonly source: string;
}

const MIB = 2 ** 20;
const CLOUD_TOTALS = "https://github.com/modal-labs/modal-client/pull/2797";

const card = (id: string, name: string, mebibytes: number, source: string): Card => ({
  id,
  name,
  bytes: mebibytes * MIB,
  source,
});

/** Known cards, by what `nvidia-smi` prints: less than the sales name says, and what a plan has to fit. */
export const CARDS: readonly Card[] = [
  card("t4", "NVIDIA T4", 15_360, CLOUD_TOTALS),
  card("a10", "NVIDIA A10", 23_028, CLOUD_TOTALS),
  card("l4", "NVIDIA L4", 23_034, CLOUD_TOTALS),
  card("rtx-4090", "NVIDIA GeForce RTX 4090", 24_564, "https://github.com/RLinf/RLinf/issues/255"),
  card("rtx-3090", "NVIDIA GeForce RTX 3090", 24_576, "https://github.com/noonghunna/club-3090/issues/1129"),
  card("rtx-5090", "NVIDIA GeForce RTX 5090", 32_607, "https://github.com/noonghunna/club-3090/issues/1229"),
  card("a100-40gb", "NVIDIA A100 40GB", 40_960, CLOUD_TOTALS),
  card("l40s", "NVIDIA L40S", 46_068, CLOUD_TOTALS),
  card("h100-80gb", "NVIDIA H100 80GB", 81_559, CLOUD_TOTALS),
  card("a100-80gb", "NVIDIA A100 80GB", 81_920, CLOUD_TOTALS),
  card("rtx-pro-6000", "NVIDIA RTX PRO 6000 Blackwell", 97_887, "https://github.com/vllm-project/recipes/pull/831"),
  card("h200", "NVIDIA H200", 143_771, "https://github.com/sgl-project/sglang/issues/3196"),
  card("b200", "NVIDIA B200", 183_359, "https://github.com/NVIDIA/TensorRT-LLM/issues/10278"),
];

/** The card with this id. */
export function findCard(id: string): Card | undefined {
  return CARDS.find((each) => each.id === id.toLowerCase());
}
