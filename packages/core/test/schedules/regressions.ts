/** Seeds that found a bug once, with what it was; replayed first. What a seed means changes with the draws in world.ts. */
export const REGRESSIONS: readonly number[] = [
  // A dispatch that was answered late was sent after its row had been released by a look-up.
  94469924,
  // A late dispatch of a voided reservation sent the next reservation of the same invoice; "paid: no" was told for it.
  684688415, 3927266663, 208471214, 22116570, 3360229050, 3991960441,
  // A store error after the payment said "paid: no".
  3873925728, 4057670369, 2507196730,
  // The report kept holding what a call had given up while another one reserved the same invoice.
  649452283, 1464210304, 1895582086,
  // The follow-up of one attempt booked the next one, whose hold the report kept.
  1292398103,
  // A credential that was accepted while a request without one was on its way was not tried before the next payment.
  1598209770, 1694359093, 4186122510, 2167875620, 4276697984,
  // Two requests with one idempotency key at the same time.
  1142431501, 1574411869,
  // A stale "it was not sent" released the hold of the next reservation of the same invoice.
  1325946027,
  // Told "unknown" of a payment that was voided.
  568710428, 3761383539,
  // The time of a first `not_found` was kept for payments that had ended.
  2573790829, 3486744266,
  // Two receipts, in two processes, for one payment.
  2358106910,
];
