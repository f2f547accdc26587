import type { AddCommand } from "../command.ts";
import { devicesText } from "../devices/devices-text.ts";
import { reportDevices } from "../devices/list-devices.ts";
import { EXIT } from "../exit-codes.ts";
import { writeJson } from "../json-output.ts";
import { colorsFor, type Terminal } from "../terminal.ts";

/** `kv devices`: what this machine has, and when CUDA cannot be used, why and what to do. */
export const addDevices: AddCommand = (program, terminal, finish) => {
  program
    .command("devices")
    .description("list the devices of this machine, and why CUDA cannot be used when it cannot")
    .option("--json", "print one JSON object instead")
    .action((options: { json?: true }) => {
      listTo(terminal, options.json === true);
      finish(EXIT.ok);
    });
};

function listTo(terminal: Terminal, asJson: boolean): void {
  const report = reportDevices();
  if (asJson) {
    writeJson(terminal, { command: "devices", schemaVersion: 1, exitCode: EXIT.ok, ...report });
  } else {
    terminal.stdout.write(devicesText(report, colorsFor(terminal.stdout, terminal.env)));
  }
}
