//! What the policies of others come down to: alternatives, each of which asks for several things at once.
//!
//! A thing that no document can say is [`Unsaid`]. In what allows, an alternative with such a thing is left out, which can
//! only permit less; in what denies, it makes the whole set unsayable.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use ztl_core::{IdPattern, Method};

/// No document can say it: what it is.
#[derive(Clone, Debug)]
pub(crate) struct Unsaid(pub(crate) String);

impl From<&str> for Unsaid {
    fn from(what: &str) -> Self {
        Self(what.to_owned())
    }
}

pub(crate) type Part = Result<Clause, Unsaid>;

/// First and last port.
pub(crate) type Ports = Vec<(u16, u16)>;

/// Everything in it has to hold; what is absent holds always.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clause {
    /// One of these ids. An empty list is nobody.
    pub(crate) ids: Option<Vec<IdPattern>>,
    /// None of these ids.
    pub(crate) not: Option<Vec<IdPattern>>,
    /// From one of these networks.
    pub(crate) networks: Option<Vec<IpNet>>,
    pub(crate) ports: Option<Ports>,
    pub(crate) methods: Option<Vec<Method>>,
    /// Templates.
    pub(crate) paths: Option<Vec<String>>,
    /// Of a verified token.
    pub(crate) token: Option<Map<String, Value>>,
    pub(crate) headers: Map<String, Value>,
    /// What cannot hold on this target.
    pub(crate) never: bool,
    /// What was left out of it, since no document can say it.
    pub(crate) without: BTreeSet<String>,
}

impl Clause {
    pub(crate) fn ids(ids: Vec<IdPattern>) -> Self {
        Self {
            ids: Some(ids),
            ..Self::default()
        }
    }

    /// It asks for nothing but not to be one of some ids.
    pub(crate) fn only_not(&self) -> Option<&[IdPattern]> {
        let not = self.not.as_deref()?;
        let plain = self.ids.is_none() && self.networks.is_none() && self.ports.is_none();
        let silent = self.methods.is_none() && self.paths.is_none();
        let asks_nothing = self.token.is_none() && self.headers.is_empty();
        (plain && silent && asks_nothing && !self.never).then_some(not)
    }

    /// Some ids and not some others, where each is one of the others or none of them is of it: the ids that are left.
    pub(crate) fn without_strangers(mut self) -> Self {
        let (Some(ids), Some(not)) = (&mut self.ids, &self.not) else {
            return self;
        };
        ids.retain(|id| !not.iter().any(|other| within(id, other)));
        if !not
            .iter()
            .any(|other| ids.iter().any(|id| within(other, id)))
        {
            self.not = None;
        }
        self
    }

    pub(crate) fn networks(networks: Vec<IpNet>) -> Self {
        Self {
            networks: Some(networks),
            ..Self::default()
        }
    }

    pub(crate) fn ports(ports: Ports) -> Self {
        Self {
            ports: Some(ports),
            ..Self::default()
        }
    }

    pub(crate) fn token(token: Value) -> Self {
        Self {
            token: token.as_object().cloned(),
            ..Self::default()
        }
    }

    /// A fact of the target itself, known when the document is written.
    pub(crate) fn fact(holds: bool) -> Self {
        Self {
            never: !holds,
            ..Self::default()
        }
    }

    /// It holds for nobody, or never.
    fn matches_nothing(&self) -> bool {
        self.never || self.ids.as_ref().is_some_and(Vec::is_empty)
    }

    /// Both.
    pub(crate) fn and(self, other: Self) -> Part {
        Ok(Self {
            ids: both(self.ids, other.ids, |one, two| Ok(common_ids(&one, &two)))?,
            not: both(self.not, other.not, |one, two| Ok([one, two].concat()))?,
            // An address is in one zone, so that two blocks at once would be a third.
            networks: both(self.networks, other.networks, |_, _| {
                Err("two address blocks at once".into())
            })?,
            ports: both(self.ports, other.ports, |one, two| {
                Ok(common_ports(&one, &two))
            })?,
            methods: both(self.methods, other.methods, |mut one, two| {
                one.retain(|method| two.contains(method));
                Ok(one)
            })?,
            paths: both(self.paths, other.paths, |_, _| {
                Err("two lists of paths at once".into())
            })?,
            token: both(self.token, other.token, merged_tokens)?,
            headers: merged(self.headers, other.headers)?,
            never: self.never || other.never,
            without: self.without.union(&other.without).cloned().collect(),
        })
    }
}

/// Every alternative of the one with every alternative of the other.
pub(crate) fn times(one: &[Part], other: &[Part]) -> Vec<Part> {
    let pairs = one
        .iter()
        .flat_map(|one| other.iter().map(move |two| (one, two)));
    let nobody = |part: &Part| part.as_ref().is_ok_and(Clause::matches_nothing);
    pairs
        .map(|(one, two)| match nobody(one) || nobody(two) {
            // Whatever else it asks for.
            true => Ok(Clause::fact(false)),
            false => one.clone()?.and(two.clone()?),
        })
        .collect()
}

/// All of these at once.
pub(crate) fn all(parts: impl IntoIterator<Item = Part>) -> Part {
    let mut parts = parts.into_iter();
    parts.try_fold(Clause::default(), |all, part| all.and(part?))
}

fn both<T>(
    one: Option<T>,
    two: Option<T>,
    join: impl Fn(T, T) -> Result<T, Unsaid>,
) -> Result<Option<T>, Unsaid> {
    match (one, two) {
        (Some(one), Some(two)) => join(one, two).map(Some),
        (one, two) => Ok(one.or(two)),
    }
}

/// Patterns are apart or one within the other, so what is common to two is one of them.
fn common_ids(one: &[IdPattern], two: &[IdPattern]) -> Vec<IdPattern> {
    let mut common = Vec::new();
    for a in one {
        for b in two {
            if within(a, b) {
                common.push(a.clone());
            } else if within(b, a) {
                common.push(b.clone());
            }
        }
    }
    common
}

fn within(inner: &IdPattern, outer: &IdPattern) -> bool {
    inner == outer
        || match inner {
            IdPattern::Exact(id) => outer.matches(id),
            IdPattern::Below(above) => outer.matches(above),
            _ => false,
        }
}

fn common_ports(one: &Ports, two: &Ports) -> Ports {
    let pairs = one.iter().flat_map(|a| two.iter().map(move |b| (a, b)));
    let common = pairs.map(|(a, b)| (a.0.max(b.0), a.1.min(b.1)));
    common.filter(|(first, last)| first <= last).collect()
}

/// Every port but these.
pub(crate) fn other_ports(ports: &[u16]) -> Ports {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    let mut others = Vec::new();
    let mut next = 1_u32;
    for port in sorted.into_iter().map(u32::from).chain([65_536]) {
        if next < port {
            let end = |port: u32| u16::try_from(port).expect("a port");
            others.push((end(next), end(port - 1)));
        }
        next = next.max(port + 1);
    }
    others
}

fn merged(
    mut one: Map<String, Value>,
    two: Map<String, Value>,
) -> Result<Map<String, Value>, Unsaid> {
    for (key, value) in two {
        if one.get(&key).is_some_and(|have| *have != value) {
            return Err("two values of one name at once".into());
        }
        one.insert(key, value);
    }
    Ok(one)
}

fn merged_tokens(
    mut one: Map<String, Value>,
    mut two: Map<String, Value>,
) -> Result<Map<String, Value>, Unsaid> {
    let claims = |token: &mut Map<String, Value>| {
        let claims = token.remove("claims");
        claims
            .and_then(|claims| claims.as_object().cloned())
            .unwrap_or_default()
    };
    let claims = merged(claims(&mut one), claims(&mut two))?;
    let mut token = merged(one, two)?;
    if !claims.is_empty() {
        token.insert("claims".to_owned(), json!(claims));
    }
    Ok(token)
}
