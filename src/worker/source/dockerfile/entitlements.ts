import { DockerfileParser, Onbuild, Run, type Instruction } from 'dockerfile-ast';
import type { Entitlement } from '../../entitlements.ts';

/** What the steps of a Dockerfile ask for by their flags (`RUN --network=host`), each with its line, from 1. */
export function entitlementsIn(text: string): { readonly entitlement: Entitlement; readonly line: number }[] {
  return DockerfileParser.parse(text)
    .getInstructions()
    .flatMap((instruction) =>
      asked(instruction).map((entitlement) => ({
        entitlement,
        line: instruction.getRange().start.line + 1,
      })),
    );
}

function asked(instruction: Instruction): Entitlement[] {
  if (instruction instanceof Onbuild) {
    const trigger = instruction.getTriggerInstruction();
    return trigger === null ? [] : asked(trigger);
  }
  if (!(instruction instanceof Run)) return [];
  return instruction.getFlags().flatMap((flag): Entitlement[] => {
    const value = (flag.getValue() ?? '').toLowerCase();
    switch (flag.getName().toLowerCase()) {
      case 'network':
        return ['default', 'none'].includes(value) ? [] : ['network.host'];
      case 'security':
        return value === 'sandbox' ? [] : ['security.insecure'];
      case 'device':
        return ['device'];
      default:
        return [];
    }
  });
}
