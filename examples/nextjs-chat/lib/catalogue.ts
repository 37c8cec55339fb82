/** What the paywall of this example sells. The goods are made up; invoices, credentials and prices are real. */

export interface Item {
  readonly path: string;
  readonly title: string;
  readonly priceSats: number;
  /** Text in the invoice. */
  readonly memo: string;
  readonly body: object;
  /** For the scripted model: words in a question that mean it, what to say before it is bought, and of what was bought. */
  readonly means: RegExp;
  readonly lead: string;
  readonly told: (body: never) => string;
}

function sell<Body extends object>(item: Omit<Item, "body" | "told"> & { body: Body; told: (body: Body) => string }): Item {
  return item;
}

interface Port {
  readonly port: string;
  readonly seen_utc: string;
  readonly berths: { readonly taken: number; readonly of: number };
  readonly at_anchor: number;
  readonly yard_percent: number;
}

const tellPort = ({ port, seen_utc, berths, at_anchor, yard_percent }: Port): string =>
  [
    `**${port}**, seen yesterday at ${seen_utc} UTC:`,
    `- ${berths.taken} of ${berths.of} berths are taken, ${at_anchor === 0 ? "nobody waits" : `${at_anchor} ships wait`} at anchor`,
    `- the container yard is ${yard_percent} % full`,
    "",
    at_anchor === 0 ? "There is room for a ship today." : "It is busy: expect a ship that arrives now to wait about a day.",
  ].join("\n");

export const catalogue: readonly Item[] = [
  sell({
    path: "/weather/lisbon",
    title: "Weather in Lisbon",
    priceSats: 10,
    memo: "Weekend forecast, Lisbon",
    body: { place: "Lisbon", saturday: { sky: "sunny", low_c: 13, high_c: 21, wind: "a light breeze" }, sunday: { sky: "clouds", low_c: 12, high_c: 18, wind: "showers after 17:00" } },
    means: /weather|forecast|rain|sunny|umbrella|lisbon/i,
    lead: "Let me get this weekend’s forecast.",
    told: ({ place, saturday, sunday }) =>
      [
        `Saturday is the day to be outside in ${place}:`,
        `- **Saturday** ${saturday.sky}, ${saturday.low_c} to ${saturday.high_c} °C, ${saturday.wind}`,
        `- **Sunday** ${sunday.sky}, ${sunday.low_c} to ${sunday.high_c} °C, ${sunday.wind}`,
      ].join("\n"),
  }),
  sell({
    path: "/markets/freight",
    title: "Freight rates today",
    priceSats: 15,
    memo: "Container freight rates, daily",
    body: { usd_per_40ft: { "Shanghai – Rotterdam": 2140, "Rotterdam – New York": 1985, "Sines – Santos": 1410 }, week_change_percent: -3.2 },
    means: /market|freight|rates?\b/i,
    lead: "Let me get today’s rates.",
    told: ({ usd_per_40ft, week_change_percent }) =>
      [
        "A 40 ft container costs this today:",
        ...Object.entries(usd_per_40ft).map(([route, usd]) => `- **${route}** ${usd.toLocaleString("en-US")} USD`),
        "",
        `That is ${Math.abs(week_change_percent)} % ${week_change_percent < 0 ? "less" : "more"} than a week ago.`,
      ].join("\n"),
  }),
  sell({
    path: "/satellite/sines",
    title: "Satellite report, Port of Sines",
    priceSats: 120,
    memo: "Satellite report, Port of Sines, 0.5 m",
    body: { port: "Port of Sines", seen_utc: "11:32", berths: { taken: 4, of: 5 }, at_anchor: 7, yard_percent: 81 },
    means: /sines|(satellite|report)(?!.*leix)/i,
    lead: "A satellite report will tell. Let me see what it costs.",
    told: tellPort,
  }),
  sell({
    path: "/satellite/leixoes",
    title: "Satellite report, Port of Leixões",
    priceSats: 90,
    memo: "Satellite report, Port of Leixões, 0.5 m",
    body: { port: "Port of Leixões", seen_utc: "11:34", berths: { taken: 2, of: 6 }, at_anchor: 0, yard_percent: 46 },
    means: /leix/i,
    lead: "A satellite report will tell. Let me see what it costs.",
    told: tellPort,
  }),
  sell({
    path: "/archive/complete",
    title: "The complete archive",
    priceSats: 2_500,
    memo: "Satellite archive, all ports, 12 months",
    body: { pictures: 8_760 },
    means: /archive|everything|all ports/i,
    lead: "Let me see what the archive costs.",
    told: ({ pictures }) => `The archive holds ${pictures.toLocaleString("en-US")} pictures.`,
  }),
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
