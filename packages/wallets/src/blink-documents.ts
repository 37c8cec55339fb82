/** The GraphQL documents that are sent to Blink: one operation each, since its complexity limit allows no more. */

export const PAY = `mutation Pay($input: LnInvoicePaymentInput!) {
  lnInvoicePaymentSend(input: $input) {
    status
    errors { code message }
    transaction {
      id status direction settlementAmount settlementFee settlementCurrency
      settlementVia {
        __typename
        ... on SettlementViaLn { preImage }
        ... on SettlementViaIntraLedger { preImage }
      }
    }
  }
}`;

export const FEE_PROBE = `mutation FeeProbe($input: LnInvoiceFeeProbeInput!) {
  lnInvoiceFeeProbe(input: $input) { amount errors { code message } }
}`;

export const LOOKUP = `query Lookup($walletId: WalletId!, $paymentHash: PaymentHash!) {
  me { defaultAccount { walletById(walletId: $walletId) {
    __typename
    transactionsByPaymentHash(paymentHash: $paymentHash) {
      id status direction settlementAmount settlementFee settlementCurrency
      settlementVia {
        __typename
        ... on SettlementViaLn { preImage }
        ... on SettlementViaIntraLedger { preImage }
      }
    }
  } } }
}`;

export const INTRALEDGER_PREIMAGE = `query IntraledgerPreimage($input: LnInvoicePaymentStatusByHashInput!) {
  lnInvoicePaymentStatusByHash(input: $input) { status paymentPreimage }
}`;

export const BALANCE = `query Balance($walletId: WalletId!) {
  me { defaultAccount { walletById(walletId: $walletId) { __typename walletCurrency balance } } }
}`;
