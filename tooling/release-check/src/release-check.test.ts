import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { checkRelease } from "./release-check.mjs";

const IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"];
const CONFIG = {
  changelog: false,
  commit: false,
  fixed: [],
  linked: [],
  access: "public",
  baseBranch: "main",
  updateInternalDependencies: "patch",
  privatePackages: { version: false, tag: false },
  ignore: [],
};

/** A repository with cache -> memory -> ledger, and a private tool that cache uses for its tests. */
class Repository {
  readonly root = mkdtempSync(path.join(tmpdir(), "kv-release-"));

  constructor() {
    onTestFinished(() => rmSync(this.root, { recursive: true }));
    this.git("init", "--initial-branch=main");
    this.write("package.json", JSON.stringify({ name: "root", private: true, version: "0.0.0" }));
    this.write("pnpm-workspace.yaml", "packages: [packages/*]\n");
    this.write("pnpm-lock.yaml", "");
    this.write(".changeset/config.json", JSON.stringify(CONFIG));
    this.manifest("ledger", { version: "1.0.0" });
    this.manifest("memory", { version: "1.0.0", dependencies: { ledger: "workspace:^" } });
    this.manifest("cache", {
      version: "1.0.0",
      dependencies: { memory: "workspace:^" },
      devDependencies: { tool: "workspace:*" },
    });
    this.manifest("tool", { version: "0.0.0", private: true });
    for (const name of ["ledger", "memory", "cache", "tool"]) this.write(`packages/${name}/src/index.ts`, "export {};");
    this.commit();
  }

  git(...args: string[]): string {
    return execFileSync("git", [...IDENTITY, ...args], { cwd: this.root, encoding: "utf8" });
  }

  write(file: string, text: string): void {
    mkdirSync(path.join(this.root, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(this.root, file), text);
  }

  manifest(name: string, fields: object): void {
    this.write(`packages/${name}/package.json`, JSON.stringify({ name, ...fields }));
  }

  changeset(releases: Record<string, string>): void {
    const lines = Object.entries(releases).map(([name, type]) => `"${name}": ${type}`);
    this.write(`.changeset/${Object.keys(releases).join("-")}.md`, `---\n${lines.join("\n")}\n---\n\nA change.\n`);
  }

  commit(): void {
    this.git("add", ".");
    this.git("commit", "--quiet", "--message", "Change");
  }

  tag(...tags: string[]): void {
    for (const tag of tags) this.git("tag", tag);
  }

  /** All three packages are at the registry as they are here. */
  released(): this {
    this.tag("ledger@1.0.0", "memory@1.0.0", "cache@1.0.0");
    return this;
  }
}

describe("plan", () => {
  test("a first release brings everything and refuses nothing", async () => {
    const { root } = new Repository();
    const { goingOut, refusals } = await checkRelease(root, "plan");
    expect(goingOut.toSorted((a, b) => a.localeCompare(b))).toEqual(["cache", "ledger", "memory"]);
    expect(refusals).toEqual([]);
  });

  test("without changesets nothing goes out, whatever changed", async () => {
    const repository = new Repository().released();
    repository.write("packages/ledger/src/index.ts", "export const changed = true;");
    expect(await checkRelease(repository.root, "plan")).toEqual({ goingOut: [], refusals: [] });
  });

  test("a package is refused when its dependency changed and has no changeset", async () => {
    const repository = new Repository().released();
    repository.write("packages/memory/src/index.ts", "export const changed = true;");
    repository.write("packages/memory/src/new-file.ts", "export {};");
    repository.write("packages/cache/src/index.ts", 'export { changed } from "memory";');
    repository.changeset({ cache: "minor" });
    const { goingOut, refusals } = await checkRelease(repository.root, "plan");
    expect(goingOut).toEqual(["cache"]);
    expect(refusals).toEqual([
      {
        package: "cache",
        dependency: "memory",
        way: ["cache", "memory"],
        changesets: [],
        files: ["packages/memory/src/index.ts", "packages/memory/src/new-file.ts"],
        reason: "it changed since memory@1.0.0",
      },
    ]);
  });

  test("the same with a changeset for both is fine, committed or not", async () => {
    const repository = new Repository().released();
    repository.write("packages/memory/src/index.ts", "export const changed = true;");
    repository.changeset({ cache: "minor", memory: "minor" });
    expect((await checkRelease(repository.root, "plan")).refusals).toEqual([]);
    repository.commit();
    expect((await checkRelease(repository.root, "plan")).refusals).toEqual([]);
  });

  test("a dependency of a dependency counts", async () => {
    const repository = new Repository().released();
    repository.write("packages/ledger/src/index.ts", "export const changed = true;");
    repository.changeset({ cache: "patch" });
    repository.commit();
    const { refusals } = await checkRelease(repository.root, "plan");
    expect(refusals).toMatchObject([{ package: "cache", dependency: "ledger", way: ["cache", "memory", "ledger"] }]);
  });

  test.each([
    ["a test", "src/index.test.ts", "changed"],
    ["a fixture", "test/fixture.ts", "changed"],
    ["the readme", "README.md", "changed"],
    [
      "what only its developers see in the manifest",
      "package.json",
      { devDependencies: { x: "1" }, scripts: { a: "b" } },
    ],
  ])("a dependency where only %s changed is no reason", async (_, file, content) => {
    const repository = new Repository().released();
    const manifest = { name: "ledger", version: "1.0.0" };
    const text = typeof content === "string" ? content : JSON.stringify({ ...manifest, ...content });
    repository.write(`packages/ledger/${file}`, text);
    repository.changeset({ memory: "patch" });
    expect((await checkRelease(repository.root, "plan")).refusals).toEqual([]);
  });

  test("a dependency whose own dependencies changed is one", async () => {
    const repository = new Repository().released();
    repository.manifest("ledger", { version: "1.0.0", dependencies: { "prom-client": "^15.0.0" } });
    repository.changeset({ memory: "patch" });
    expect((await checkRelease(repository.root, "plan")).refusals).toMatchObject([
      { package: "memory", dependency: "ledger", files: ["packages/ledger/package.json"] },
    ]);
  });

  test("what is only used for tests may be private and changed; what is installed may not be private", async () => {
    const repository = new Repository().released();
    repository.write("packages/tool/src/index.ts", "export const changed = true;");
    repository.changeset({ cache: "patch" });
    expect((await checkRelease(repository.root, "plan")).refusals).toEqual([]);
    repository.manifest("cache", { version: "1.0.0", dependencies: { tool: "workspace:*" } });
    await expect(checkRelease(repository.root, "plan")).rejects.toThrow(
      '"cache" depends on the skipped package "tool"',
    );
  });
});

describe("publish", () => {
  test("brings the versions that have no tag", async () => {
    const repository = new Repository().released();
    repository.manifest("memory", { version: "1.1.0", dependencies: { ledger: "workspace:^" } });
    expect(await checkRelease(repository.root, "publish")).toEqual({ goingOut: ["memory"], refusals: [] });
  });

  test("is refused when a dependency changed after its tag", async () => {
    const repository = new Repository().released();
    repository.write("packages/ledger/src/index.ts", "export const changed = true;");
    repository.manifest("memory", { version: "1.1.0", dependencies: { ledger: "workspace:^" } });
    repository.commit();
    expect((await checkRelease(repository.root, "publish")).refusals).toMatchObject([
      { package: "memory", dependency: "ledger", reason: "it changed since ledger@1.0.0" },
    ]);
  });

  test("is refused when a dependency has a changeset that is not released", async () => {
    const repository = new Repository().released();
    repository.manifest("memory", { version: "1.1.0", dependencies: { ledger: "workspace:^" } });
    repository.changeset({ ledger: "patch" });
    expect((await checkRelease(repository.root, "publish")).refusals).toMatchObject([
      { package: "memory", dependency: "ledger", changesets: ["ledger"], files: [] },
    ]);
  });

  test("of both together is fine", async () => {
    const repository = new Repository().released();
    repository.write("packages/ledger/src/index.ts", "export const changed = true;");
    repository.manifest("ledger", { version: "1.0.1" });
    repository.manifest("memory", { version: "1.1.0", dependencies: { ledger: "workspace:^" } });
    expect((await checkRelease(repository.root, "publish")).refusals).toEqual([]);
  });

  test("cannot be judged in a shallow clone, where tags are missing", async () => {
    const { root } = new Repository();
    const clone = mkdtempSync(path.join(tmpdir(), "kv-shallow-"));
    onTestFinished(() => rmSync(clone, { recursive: true }));
    execFileSync("git", ["clone", "--quiet", "--depth=1", `file://${root}`, clone]);
    await expect(checkRelease(clone, "publish")).rejects.toThrow("this clone is shallow");
  });
});

describe("the command", () => {
  const main = fileURLToPath(new URL("main.mjs", import.meta.url));

  test("says what to do and fails when it refuses", () => {
    const repository = new Repository().released();
    repository.write("packages/ledger/src/index.ts", "export const changed = true;");
    repository.changeset({ cache: "patch" });
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, "plan", repository.root], {
      encoding: "utf8",
    });
    expect(stdout).toBe("to release: cache\n");
    expect(stderr).toBe(
      "refused: cache would go out without ledger (cache -> memory -> ledger): it changed since ledger@1.0.0\n" +
        "  changed: packages/ledger/src/index.ts\n" +
        "  run `npm run changeset` and choose ledger\n",
    );
    expect(status).toBe(1);
  });

  test("wants the binaries of every platform before a package with an addon is published", () => {
    const repository = new Repository().released();
    repository.manifest("ledger", { version: "1.1.0", binary: { napi_versions: [8] } });
    repository.write("packages/ledger/prebuilds/kv_native-linux-x64/node-napi-v8.node", "");
    const { status, stderr } = spawnSync(process.execPath, [main, "publish", repository.root], { encoding: "utf8" });
    expect(stderr.match(/prebuilds\/\S+/g)).toEqual([
      "prebuilds/kv_native-linux-arm64/node-napi-v8.node",
      "prebuilds/kv_native-win32-x64/node-napi-v8.node",
    ]);
    expect(status).toBe(1);
  });

  test("gives the untagged names to a script", () => {
    const repository = new Repository();
    repository.tag("memory@1.0.0");
    const { status, stdout } = spawnSync(process.execPath, [main, "untagged", repository.root], { encoding: "utf8" });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "cache ledger\n" });
  });

  test("succeeds when there is nothing to say against it", () => {
    const { root } = new Repository().released();
    const { status, stdout } = spawnSync(process.execPath, [main, "publish", root], { encoding: "utf8" });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "nothing to release\n" });
  });
});
