/** What an operator may allow the steps of builds to have, by BuildKit's names. */
export const entitlementNames = ['network.host', 'security.insecure', 'device'] as const;
export type Entitlement = (typeof entitlementNames)[number];
