//! `net.cidr_*`.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::{Answer, Context, Term, Why, string};

/// Most addresses that `net.cidr_expand` lists.
const MOST_ADDRESSES: u128 = 4096;
/// Most comparisons of one call.
const MOST_PAIRS: usize = 1 << 18;

pub(super) fn is_valid(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = arguments.first().and_then(Term::as_str);
    Ok(Term::Bool(text.is_some_and(|text| network(text).is_ok())))
}

/// A network in CIDR notation.
fn network(text: &str) -> Result<IpNet, Why> {
    text.parse()
        .map_err(|_| "this is no network in CIDR notation".into())
}

/// A network; one of IPv4 that is written in IPv6 (`::ffff:10.0.0.0/104`, RFC 4291 §2.5.5.2) is one of IPv4.
fn canonical(text: &str) -> Result<IpNet, Why> {
    let network = network(text)?;
    let mapped = |address: std::net::Ipv6Addr, length: u8| {
        Ipv4Net::new(address.to_ipv4_mapped()?, length.checked_sub(96)?).ok()
    };
    Ok(match network {
        IpNet::V6(six) => mapped(six.addr(), six.prefix_len()).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    })
}

/// A network, or an address, which is the network of it alone.
fn network_or_address(text: &str) -> Result<IpNet, Why> {
    let address = text.parse().map(|address: IpAddr| address.to_canonical());
    canonical(text).or_else(|why| address.map(IpNet::from).map_err(|_| why))
}

/// Every address of a network, as a set.
pub(super) fn expand(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let network = network(string(arguments, 0)?)?.trunc();
    let bits = network.max_prefix_len() - network.prefix_len();
    let count = 1_u128.checked_shl(bits.into()).unwrap_or(u128::MAX);
    if count > MOST_ADDRESSES.min(u128::try_from(context.most).unwrap_or(0)) {
        return Err(format!("the network has more than {MOST_ADDRESSES} addresses").into());
    }
    let first = match network.network() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let address = |at: u128| match network {
        IpNet::V4(_) => u32::try_from(at).map(|at| IpAddr::V4(at.into())).ok(),
        IpNet::V6(_) => Some(IpAddr::V6(at.into())),
    };
    let all = (0..count).filter_map(|at| address(first.checked_add(at)?));
    Ok(Term::set(
        all.map(|it| Term::text(it.to_canonical().to_string()))
            .collect(),
    ))
}

/// The fewest networks with the same addresses, as a set.
pub(super) fn merge(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let all = arguments.first().and_then(Term::elements);
    let all = all.ok_or("argument 1 is neither an array nor a set")?;
    let read = |term: &Term| {
        // OPA gives an address alone the length that its class had before there were lengths: 10.0.0.1 becomes 10.0.0.0/8.
        network(term.as_str().ok_or("an element is no string")?)
    };
    let all: Vec<IpNet> = all.iter().map(read).collect::<Result<_, Why>>()?;
    let merged = IpNet::aggregate(&all);
    Ok(Term::set(
        merged.iter().map(|it| Term::text(it.to_string())).collect(),
    ))
}

/// Whether a network holds a network or an address.
#[cfg(feature = "rego")]
pub(super) fn contains(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let whole = canonical(string(arguments, 0)?)?;
    let part = network_or_address(string(arguments, 1)?)?;
    Ok(Term::Bool(whole.contains(&part)))
}

/// Which networks hold which networks or addresses: a set of pairs of their keys.
pub(super) fn contains_matches(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let networks = keyed(arguments, 0, canonical)?;
    let others = keyed(arguments, 1, network_or_address)?;
    if networks.len().saturating_mul(others.len()) > MOST_PAIRS {
        return Err("the two lists are too long to be compared".into());
    }
    // A key may be long, and each can be in many pairs: what is too long to be given is not made.
    let sized = |all: Vec<(Term, IpNet)>| -> Vec<_> {
        let size = |(key, net): (Term, IpNet)| (key.to_string().len(), key, net);
        all.into_iter().map(size).collect()
    };
    let (networks, others) = (sized(networks), sized(others));
    let mut pairs = Vec::new();
    let mut written = 0_usize;
    for (size, key, network) in &networks {
        for (other_size, other, part) in &others {
            if network.contains(part) {
                written = written.saturating_add(*size).saturating_add(*other_size);
                if written > context.most {
                    return Err("the answer becomes too long".into());
                }
                pairs.push(Term::Array(vec![key.clone(), other.clone()]));
            }
        }
    }
    Ok(Term::set(pairs))
}

/// Networks with their keys: the text itself, a place in an array, an element of a set, a key of an object. An element may
/// be a list that begins with the network.
fn keyed(
    arguments: &[Term],
    at: usize,
    network: fn(&str) -> Result<IpNet, Why>,
) -> Result<Vec<(Term, IpNet)>, Why> {
    let read = |term: &Term| {
        let first = match term {
            Term::Array(all) => all.first().and_then(Term::as_str),
            other => other.as_str(),
        };
        network(first.ok_or("an element is neither a string nor a list that begins with one")?)
    };
    match arguments.get(at) {
        Some(text @ Term::String(_)) => Ok(vec![(text.clone(), read(text)?)]),
        Some(Term::Array(all)) => {
            let place =
                |(at, term): (usize, &Term)| Ok((Term::Number(at.to_string()), read(term)?));
            all.iter().enumerate().map(place).collect()
        }
        Some(Term::Set(all)) => all
            .iter()
            .map(|term| Ok((term.clone(), read(term)?)))
            .collect(),
        Some(Term::Object(all)) => {
            let member = |(key, term): &(Term, Term)| Ok((key.clone(), read(term)?));
            all.iter().map(member).collect()
        }
        _ => Err(format!("argument {} is no list of networks", at + 1).into()),
    }
}
