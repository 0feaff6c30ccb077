//! One question, by options of the command line. It means the same as the JSON object with these keys.

use serde_json::{Map, Value};
use ztl_core::policy::Query;

use crate::exit::Failure;

#[derive(Debug, clap::Args)]
#[group(id = "one", multiple = true)]
pub(crate) struct One {
    /// The called workload: its name or its SPIFFE ID; or a host outside the mesh, which has a dot
    #[arg(long, value_name = "WORKLOAD")]
    to: Option<String>,
    /// The proved caller: a SPIFFE ID or a workload's name; left out, the caller proved nothing
    #[arg(long, value_name = "WORKLOAD")]
    from: Option<String>,
    /// The IP address it arrives from
    #[arg(long, value_name = "ADDRESS")]
    from_addr: Option<String>,
    /// The port; left out, the only one that can be meant, of a host outside the mesh 443
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The request's method; with `--path`
    #[arg(long, requires = "path")]
    method: Option<String>,
    /// The request's raw target; with `--method`
    #[arg(long, value_name = "TARGET", requires = "method")]
    path: Option<String>,
    /// Ask for raw bytes
    #[arg(long, conflicts_with_all = ["method", "path"])]
    connect: bool,
    /// A header field of the request; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    header: Vec<(String, String)>,
    /// The claims of a verified token, as a JSON object
    #[arg(long, value_name = "JSON")]
    claims: Option<String>,
    /// How far the caller is trusted, 0 to 100
    #[arg(long, value_name = "SCORE", value_parser = clap::value_parser!(u8).range(0..=100))]
    trust_score: Option<u8>,
    /// What is known of the caller, 0 to 100, weighed by the policy's `[trust]`; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = signal, conflicts_with = "trust_score")]
    signal: Vec<(String, u8)>,
    /// The posture of the caller's device, as a JSON object
    #[arg(long, value_name = "JSON")]
    posture: Option<String>,
    /// What the service says of the request, as a JSON object
    #[arg(long, value_name = "JSON")]
    context: Option<String>,
}

impl One {
    pub(crate) fn query(&self) -> Result<Query, Failure> {
        let mut json = Value::Object(self.keys()).to_string();
        for (name, object) in [
            ("claims", &self.claims),
            ("posture", &self.posture),
            ("context", &self.context),
        ] {
            let Some(object) = object else {
                continue;
            };
            // That it is one object makes it safe to put into the text, where the query's own reader finds what is doubled.
            serde_json::from_str::<Map<String, Value>>(object).map_err(|error| {
                Failure::Usage(format!("`--{name}` is no JSON object: {error}"))
            })?;
            json.pop();
            json.push_str(&format!(r#","{name}":{object}}}"#));
        }
        Query::from_json(&json).map_err(|error| Failure::Usage(error.to_string()))
    }

    /// All but the objects.
    fn keys(&self) -> Map<String, Value> {
        let mut keys = Map::new();
        let texts = [
            ("to", &self.to),
            ("from", &self.from),
            ("from_addr", &self.from_addr),
            ("method", &self.method),
            ("path", &self.path),
        ];
        for (key, text) in texts {
            keys.extend(
                text.as_ref()
                    .map(|text| (key.to_owned(), text.as_str().into())),
            );
        }
        keys.extend(self.port.map(|port| ("port".to_owned(), port.into())));
        keys.extend(
            self.trust_score
                .map(|score| ("trust_score".to_owned(), score.into())),
        );
        keys.extend(
            self.connect
                .then(|| ("action".to_owned(), "connect".into())),
        );
        let signals = self.signal.iter();
        let signals: Map<_, _> = signals
            .map(|(name, value)| (name.clone(), Value::from(*value)))
            .collect();
        if !signals.is_empty() {
            keys.insert("signals".to_owned(), signals.into());
        }
        let mut headers: Map<String, Value> = Map::new();
        for (name, value) in &self.header {
            let values = headers
                .entry(name.to_ascii_lowercase())
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(value.as_str().into());
            }
        }
        if !headers.is_empty() {
            keys.insert("headers".to_owned(), headers.into());
        }
        keys
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has to be `NAME=VALUE`")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn signal(text: &str) -> Result<(String, u8), String> {
    let (name, value) = name_and_value(text)?;
    let value = value.parse().ok().filter(|value| *value <= 100);
    Ok((
        name,
        value.ok_or("its value has to be an integer from 0 to 100")?,
    ))
}
