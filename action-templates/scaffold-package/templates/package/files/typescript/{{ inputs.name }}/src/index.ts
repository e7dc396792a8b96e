/** What to say to somebody of this name. To be replaced. */
export function greeting(name: string): string {
  return `Hello, ${name}!`;
}
