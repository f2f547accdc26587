/** What a report shows: written into its page as JSON. */
export interface ReportData {
  readonly title: string;
  /** Lines of text below the title. */
  readonly lines: readonly string[];
  /** Figures as the table shows them: name, value, remark. */
  readonly figures: readonly (readonly [string, string, string])[];
  readonly numBlocks: number;
  readonly samples: readonly {
    readonly requests: number;
    readonly timeMs: number;
    readonly occupiedBlocks: number;
    readonly heldBlocks: number;
    readonly evictedBlocks: number;
    readonly hitRate: number;
  }[];
  readonly sweep: readonly { readonly numBlocks: number; readonly hitRate: number }[];
}
