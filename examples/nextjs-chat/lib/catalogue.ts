/** What the paywall of this example sells. The goods are made up; invoices, credentials and prices are real. */

export interface Item {
  readonly path: string;
  readonly title: string;
  readonly priceSats: number;
  /** Text in the invoice. */
  readonly memo: string;
  /** Words in a question that mean it; what the scripted model understands. */
  readonly means: RegExp;
  readonly body: object;
  /** What the scripted model says before it buys it, and of what it bought. */
  readonly lead: string;
  readonly told: string;
}

export const catalogue: readonly Item[] = [
  {
    path: "/weather/lisbon",
    title: "Weather in Lisbon",
    priceSats: 10,
    memo: "Weekend forecast, Lisbon",
    means: /weather|forecast|rain|sunny|umbrella|lisbon/i,
    body: { place: "Lisbon", saturday: { sky: "sunny", low_c: 13, high_c: 21, wind_kmh: 12 }, sunday: { sky: "clouds, showers after 17:00", low_c: 12, high_c: 18, wind_kmh: 26 } },
    lead: "Let me get this weekend’s forecast.",
    told: "Saturday is the day to be outside in Lisbon:\n- **Saturday** sunny, 13 to 21 °C, a light breeze\n- **Sunday** clouds, 12 to 18 °C, showers after 17:00",
  },
  {
    path: "/markets/freight",
    title: "Freight rates today",
    priceSats: 15,
    memo: "Container freight rates, daily",
    means: /market|freight|rates?\b|shipping price/i,
    body: { usd_per_40ft: { "Shanghai – Rotterdam": 2140, "Rotterdam – New York": 1985, "Sines – Santos": 1410 }, week_change_percent: -3.2 },
    lead: "Let me get today’s rates.",
    told: "A 40 ft container costs this today:\n- **Shanghai – Rotterdam** 2,140 USD\n- **Rotterdam – New York** 1,985 USD\n- **Sines – Santos** 1,410 USD\n\nThat is 3.2 % less than a week ago.",
  },
  {
    path: "/satellite/sines",
    title: "Satellite report, Port of Sines",
    priceSats: 120,
    memo: "Satellite report, Port of Sines, 0.5 m",
    means: /sines|satellite(?!.*leix)|report(?!.*leix)/i,
    body: { site: "Port of Sines", captured: "yesterday 11:32 UTC", resolution_m: 0.5, berths: { taken: 4, of: 5 }, ships_at_anchor: 7, container_yard_percent: 81 },
    lead: "A satellite report will tell. Let me see what it costs.",
    told: "**Port of Sines**, seen yesterday at 11:32 UTC:\n- 4 of 5 berths are taken, 7 ships wait at anchor\n- the container yard is 81 % full\n\nIt is busy: expect a ship that arrives now to wait about a day.",
  },
  {
    path: "/satellite/leixoes",
    title: "Satellite report, Port of Leixões",
    priceSats: 90,
    memo: "Satellite report, Port of Leixões, 0.5 m",
    means: /leix/i,
    body: { site: "Port of Leixões", captured: "yesterday 11:34 UTC", resolution_m: 0.5, berths: { taken: 2, of: 6 }, ships_at_anchor: 0, container_yard_percent: 46 },
    lead: "A satellite report will tell. Let me see what it costs.",
    told: "**Port of Leixões**, seen yesterday at 11:34 UTC:\n- 2 of 6 berths are taken, nobody waits at anchor\n- the container yard is 46 % full\n\nThere is room for a ship today.",
  },
  {
    path: "/archive/complete",
    title: "The complete archive",
    priceSats: 2_500,
    memo: "Satellite archive, all ports, 12 months",
    means: /archive|everything|whole|complete|all ports/i,
    body: { files: 8_760 },
    lead: "Let me see what the archive costs.",
    told: "The archive holds 8,760 pictures.",
  },
];

/** Questions that the page offers, with what they lead to. */
export interface Suggestion {
  readonly text: string;
  readonly price: string;
  /** What happens then. */
  readonly what: string;
}

export const suggestions: readonly Suggestion[] = [
  { text: "Will it rain in Lisbon this weekend?", price: "10 sats", what: "paid without a question" },
  { text: "How busy is the Port of Sines?", price: "120 sats", what: "asks you first" },
  { text: "Compare the ports of Sines and Leixões", price: "120 + 90 sats", what: "asks you twice" },
  { text: "Buy the complete archive", price: "2,500 sats", what: "beyond the budget" },
];
