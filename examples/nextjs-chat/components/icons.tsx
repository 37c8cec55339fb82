/** Small line icons; they only decorate, so screen readers skip them. */
import type { ReactNode } from "react";

function Icon({ children, size = 16 }: { children: ReactNode; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {children}
    </svg>
  );
}

export const Bolt = ({ size }: { size?: number }) => (
  <Icon {...(size === undefined ? {} : { size })}>
    <path d="M8.9 1.8 3.6 8.7c-.2.3 0 .7.3.7h3.3l-.9 4.4c-.1.5.5.7.8.4l5.3-6.9c.2-.3 0-.7-.3-.7H8.8l.9-4.4c.1-.5-.5-.7-.8-.4z" fill="currentColor" stroke="none" />
  </Icon>
);
export const Check = () => (
  <Icon>
    <path d="m3.2 8.6 3.1 3.1 6.5-7.2" />
  </Icon>
);
export const Cross = () => (
  <Icon>
    <path d="m4.2 4.2 7.6 7.6m0-7.6-7.6 7.6" />
  </Icon>
);
export const Send = () => (
  <Icon size={18}>
    <path d="M8 13V3M3.8 7.2 8 3l4.2 4.2" />
  </Icon>
);
export const Stop = () => (
  <Icon size={18}>
    <rect x="4" y="4" width="8" height="8" rx="1.5" fill="currentColor" stroke="none" />
  </Icon>
);
export const Plus = () => (
  <Icon>
    <path d="M8 3v10M3 8h10" />
  </Icon>
);
export const Chevron = () => (
  <Icon>
    <path d="m4 6.2 4 4 4-4" />
  </Icon>
);
export const Tag = () => (
  <Icon>
    <path d="M2.5 7.3V3.1c0-.3.3-.6.6-.6h4.2c.3 0 .5.1.7.3l5.3 5.3c.4.4.4 1 0 1.4l-3.9 3.9c-.4.4-1 .4-1.4 0L2.8 8c-.2-.2-.3-.4-.3-.7z" />
    <circle cx="5.6" cy="5.6" r=".6" fill="currentColor" />
  </Icon>
);
export const Wallet = () => (
  <Icon>
    <path d="M12.5 5V3.9c0-.6-.5-1-1.1-.9L3.3 4.2c-.5.1-.8.5-.8.9v6.7c0 .7.6 1.2 1.2 1.2h8.6c.7 0 1.2-.5 1.2-1.2V6.2c0-.7-.5-1.2-1.2-1.2H3.2" />
    <circle cx="10.8" cy="9" r=".7" fill="currentColor" />
  </Icon>
);
