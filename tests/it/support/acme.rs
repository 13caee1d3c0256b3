use super::FakeShop;

/// Is notified by the gateway, in both formats and modes.
pub(crate) const PARIS: &str = "12345678";
/// Learns by event, form and REST.
pub(crate) const LYON: &str = "23456789";
/// Learns by form and REST.
pub(crate) const NICE: &str = "34567890";

/// Lyon's, in TEST.
pub(crate) const EVENT_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs=";

/// Lyon's, in PRODUCTION.
pub(crate) const OTHER_EVENT_SECRET: &str = "whsec_MfKQsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs=";

pub(crate) fn form_key(shop: &str, mode: &str) -> String {
    format!("form-key-of-{shop}-{mode}")
}

pub(crate) fn rest_password(shop: &str, mode: &str) -> String {
    let mode_word = if mode == "TEST" { "testpassword" } else { "prodpassword" };
    format!("{mode_word}_{shop}")
}

/// The files that the configuration names, with what is in them.
pub(super) fn secrets() -> Vec<(String, String)> {
    let mut secrets = vec![
        ("TEST-events".to_owned(), EVENT_SECRET.to_owned()),
        ("PRODUCTION-events".to_owned(), OTHER_EVENT_SECRET.to_owned()),
    ];
    for shop in [PARIS, LYON, NICE] {
        for mode in ["TEST", "PRODUCTION"] {
            secrets.push((format!("{shop}-{mode}-form"), form_key(shop, mode)));
            secrets.push((format!("{shop}-{mode}-rest"), rest_password(shop, mode)));
        }
    }
    secrets
}

/// A company of three shops.
pub(crate) struct Acme {
    pub(crate) paris: FakeShop,
    pub(crate) lyon: FakeShop,
    pub(crate) nice: FakeShop,
}

impl Acme {
    pub(crate) fn open() -> Self {
        Self {
            paris: FakeShop::open(),
            lyon: FakeShop::open(),
            nice: FakeShop::open(),
        }
    }

    /// The configuration: `company` has more lines for the company.
    pub(crate) fn toml(&self, company: &str) -> String {
        let mut toml = format!(
            r#"
            [legal_entities.acme]
            name = "ACME SAS"
            failure_emails = "oncall@acme.example"
            {company}
            "#
        );
        for (shop, name, server) in [
            (PARIS, "ACME Paris", &self.paris),
            (LYON, "ACME Lyon", &self.lyon),
            (NICE, "ACME Nice", &self.nice),
        ] {
            toml += &format!(
                r#"
                [shops.{shop}]
                name = "{name}"
                legal_entity = "acme"
                allow_private = true
                "#
            );
            for (table, mode) in [("test", "TEST"), ("production", "PRODUCTION")] {
                let url = |name: &str| server.url(&format!("/{table}/{name}"));
                toml += &format!(
                    r#"
                    [shops.{shop}.{table}]
                    form_key = {{ file = "{shop}-{mode}-form" }}
                    form_url = "{}"
                    rest_password = {{ file = "{shop}-{mode}-rest" }}
                    rest_url = "{}"
                    "#,
                    url("form"),
                    url("rest"),
                );
                if shop == LYON {
                    let event_url = url("events");
                    toml += &format!("event_url = \"{event_url}\"\nevent_secret = {{ file = \"{mode}-events\" }}\n");
                }
            }
        }
        toml
    }
}
