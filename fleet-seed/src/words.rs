//! What people, firms, goods and places are called in made-up data.
//!
//! Lists only. Some names have quotes or letters beyond ASCII, because real ones have.

pub(super) const FIRST: [&str; 20] = [
    "Anna", "Ben", "Chloé", "David", "Elif", "Farid", "Grace", "Hana", "Igor", "Jürgen", "Kenji", "Lucía", "Marek",
    "Nora", "Olu", "Priya", "Rosa", "Søren", "Tomáš", "Yui",
];
pub(super) const LAST: [&str; 20] = [
    "Müller", "O'Brien", "Žižkov", "Novak", "García", "Rossi", "Tanaka", "Okafor", "Silva", "Dubois", "Jensen",
    "Kowalski", "Nguyen", "Petrov", "Schmidt", "Smith", "Yılmaz", "van Dijk", "D'Angelo", "東",
];
pub(super) const FIRM: [&str; 14] = [
    "Northwind",
    "Alder",
    "Bluebird",
    "Copperfield",
    "Danube",
    "Evergreen",
    "Fjord",
    "Granite",
    "Harbour",
    "Juniper",
    "Lighthouse",
    "Meadow",
    "O'Hara",
    "Žižkov",
];
pub(super) const FIRM_END: [&str; 8] = ["Trading", "Sports", "Logistics", "Foods", "& Sons", "GmbH", "Ltd", "Studio"];
pub(super) const ADJECTIVE: [&str; 14] = [
    "Classic", "Light", "Urban", "Alpine", "Retro", "Court", "Trail", "Canvas", "Waxed", "Heavy", "Winter", "Slim",
    "Kids'", "Crème",
];
pub(super) const THING: [&str; 16] = [
    "Sneaker",
    "Jacket",
    "Backpack",
    "Mug",
    "Lamp",
    "Chair",
    "Notebook",
    "Bottle",
    "Scarf",
    "Watch",
    "Keyboard",
    "Poster",
    "Tent",
    "Bicycle",
    "Headphones",
    "Hoodie",
];
pub(super) const CITY: [&str; 14] = [
    "Berlin",
    "Praha",
    "Lisboa",
    "København",
    "Kraków",
    "Paris",
    "Milano",
    "New York",
    "São Paulo",
    "東京",
    "Zürich",
    "Wien",
    "L'Aquila",
    "Manchester",
];
pub(super) const REGION: [&str; 8] =
    ["Bayern", "Île-de-France", "Lombardia", "Ontario", "Texas", "Kansai", "Catalunya", "Wales"];
pub(super) const COUNTRY: [&str; 12] = ["DE", "CZ", "PT", "DK", "PL", "FR", "IT", "US", "BR", "JP", "CH", "GB"];
pub(super) const COUNTRY_3: [&str; 12] =
    ["DEU", "CZE", "PRT", "DNK", "POL", "FRA", "ITA", "USA", "BRA", "JPN", "CHE", "GBR"];
pub(super) const COUNTRY_NAME: [&str; 12] = [
    "Germany",
    "Czechia",
    "Portugal",
    "Denmark",
    "Poland",
    "France",
    "Italy",
    "United States",
    "Brazil",
    "Japan",
    "Switzerland",
    "Côte d'Ivoire",
];
pub(super) const CURRENCY: [&str; 8] = ["EUR", "USD", "GBP", "CHF", "CZK", "DKK", "PLN", "JPY"];
pub(super) const LOCALE: [&str; 6] = ["en", "de", "cs", "fr", "pt", "ja"];
pub(super) const TIME_ZONE: [&str; 6] =
    ["Europe/Berlin", "Europe/Prague", "Europe/London", "America/New_York", "Asia/Tokyo", "UTC"];
pub(super) const STREET: [&str; 8] = [
    "Main Street",
    "Hauptstraße",
    "Rue de l'Église",
    "Na Příkopě",
    "High Street",
    "Via Roma",
    "Station Road",
    "Lindenweg",
];
pub(super) const PLATFORM: [&str; 5] = ["stockx", "ebay", "goat", "grailed", "direct"];
pub(super) const CARRIER: [&str; 5] = ["DHL", "UPS", "FedEx", "GLS", "PostNord"];
pub(super) const COLOUR: [&str; 8] = ["black", "white", "red", "blue", "green", "grey", "beige", "rosé"];
pub(super) const SIZE: [&str; 6] = ["XS", "S", "M", "L", "XL", "42"];
pub(super) const UNIT: [&str; 5] = ["piece", "box", "pair", "kg", "hour"];
pub(super) const ROLE: [&str; 4] = ["owner", "admin", "member", "viewer"];
pub(super) const SALE_STATUS: [&str; 5] = ["completed", "sold", "shipped", "refunded", "cancelled"];
pub(super) const STATUS: [&str; 4] = ["active", "pending", "completed", "cancelled"];
pub(super) const PLAN: [&str; 3] = ["starter", "team", "enterprise"];
pub(super) const ACTION: [&str; 5] = ["created", "updated", "deleted", "exported", "signed_in"];
pub(super) const ENTITY: [&str; 5] = ["order", "product", "customer", "user", "shipment"];
pub(super) const CATEGORY: [&str; 6] = ["shoes", "apparel", "accessories", "outdoor", "electronics", "home"];
pub(super) const FEATURE: [&str; 6] =
    ["bulk_import", "advanced_reports", "api_access", "barcode_labels", "multi_currency", "audit_export"];
pub(super) const MIME: [&str; 4] = ["application/pdf", "image/png", "image/jpeg", "text/csv"];
pub(super) const SENTENCE: [&str; 8] = [
    "Checked by hand, all there.",
    "The customer asked for a gift wrap; it's in the parcel.",
    "Leave it with the neighbour, please.",
    "Arrived late because of the weather.",
    "Bez poznámky – příště dřív.",
    "Box slightly dented, goods are fine.",
    "返品の可能性あり",
    "Paid in two parts (50% + 50%).",
];
/// What nobody expects in a column of amounts and days.
pub(super) const MALFORMED: [&str; 5] = ["abc", "", "-5", "12,5x", "2024-13-45"];
