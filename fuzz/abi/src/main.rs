//! The C ABI, as a hostile peer behind an honest host reaches it: chains, addresses, methods, targets and header fields of any bytes.
//! No panic and no byte read that was not lent; a permit for the peer that proved itself, for what the policy names, and for
//! nothing else; whatever says no has closed its outputs, and says why.

#![no_main]
#![expect(unsafe_code, reason = "calls the C ABI")]

mod world;

use std::ptr;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ztl_ffi_impl::*;

use world::{NOW, WORLD, World};

#[derive(Arbitrary, Debug)]
struct Case {
    caller: Caller,
    requests: Vec<Request>,
}

#[derive(Arbitrary, Debug)]
enum Caller {
    /// One of the workloads, at the door of the shop: what it asks for is what is tried.
    Honest(u8),
    Hostile {
        chain: Vec<Certificate>,
        connection: Connection,
    },
}

impl Caller {
    fn parts(&self) -> (Vec<Certificate>, Connection) {
        match self {
            Self::Honest(which) => (vec![Certificate::Known(*which)], Connection::honest()),
            Self::Hostile { chain, connection } => (chain.clone(), connection.clone()),
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
enum Certificate {
    Known(u8),
    Edited(u8, u16, u8),
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Clone, Debug)]
struct Connection {
    me: Text,
    to: Option<Text>,
    from: Option<Text>,
    port: Option<u16>,
    flags: u16,
    /// Seconds from the time of issue.
    at: i16,
    resized: bool,
}

impl Connection {
    fn honest() -> Self {
        Self {
            me: Text::Known(0),
            to: None,
            from: None,
            port: None,
            flags: 0,
            at: 0,
            resized: false,
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Request {
    method: Text,
    target: Text,
    upgrade: Option<Text>,
    fields: Vec<(Text, Text)>,
    score: Option<i32>,
    flags: u8,
    at: i16,
    explain: bool,
}

/// One that means something, or any bytes.
#[derive(Arbitrary, Clone, Debug)]
enum Text {
    Known(u8),
    Raw(Vec<u8>),
}

const KNOWN: [&[u8]; 22] = [
    b"shop",
    b"front",
    b"cart",
    b"10.0.0.7",
    b"fe80::1%eth0",
    b"GET",
    b"CONNECT",
    b"websocket",
    b"/v1/items",
    b"/v1/../items",
    b"/v1/%2e",
    b"host",
    b":authority",
    b"shop.example",
    b"upgrade",
    b"connection",
    b"keep-alive, Upgrade",
    b"x-forwarded-client-cert",
    b"By=spiffe://prod.example/front;URI=spiffe://prod.example/cart",
    b"By=spiffe://prod.example/front;URI=spiffe://prod.example/evil",
    b"forwarded",
    b"spiffe=\"spiffe://prod.example/cart\"",
];

/// Bytes in an allocation of just their length, so that one byte more is one that nobody lent.
struct Lent(Box<[u8]>);

impl Lent {
    fn new(text: &Text) -> Self {
        Self(match text {
            Text::Known(which) => KNOWN[usize::from(*which) % KNOWN.len()].into(),
            Text::Raw(bytes) => bytes.as_slice().into(),
        })
    }

    fn str(&self) -> ztl_str {
        ztl_str {
            ptr: self.0.as_ptr(),
            len: self.0.len(),
        }
    }
}

const ABSENT: ztl_str = ztl_str {
    ptr: ptr::null(),
    len: 0,
};

fn maybe(lent: Option<&Lent>) -> ztl_str {
    lent.map_or(ABSENT, Lent::str)
}

fn size_of<T>() -> u32 {
    u32::try_from(std::mem::size_of::<T>()).expect("small")
}

fn at(seconds: i16) -> u64 {
    NOW.saturating_add_signed(seconds.into())
}

/// What no call may leave behind: a permit.
fn forged() -> ztl_decision {
    ztl_decision {
        size: size_of::<ztl_decision>(),
        permit: 1,
        reserved: [1; 3],
        stage: ZTL_STAGE_ACTION,
        reason: ZTL_REASON_PERMITTED,
        id: [0xab; 16],
        expires_unix: u64::MAX,
        rule: [1; ZTL_RULE_SIZE],
    }
}

fn dangling<T>() -> *mut T {
    ptr::without_provenance_mut(0xdead_beef)
}

/// Every no says why, and is none of the yeses.
fn settled(status: ztl_status, error: *mut ztl_error) {
    assert_eq!(status == ZTL_OK, error.is_null());
    if error.is_null() {
        return;
    }
    let (mut text, mut len) = (ptr::null(), 0);
    // SAFETY: an error that a call has just given.
    unsafe {
        assert_eq!(ztl_error_code(error), status);
        assert_eq!(
            ztl_error_reason(error) != ZTL_REASON_NOT_JUDGED,
            status == ZTL_DENIED
        );
        assert!(ztl_error_lack(error) != ZTL_LACK_OTHER);
        assert_eq!(
            ztl_error_message(error, &raw mut text, &raw mut len),
            ZTL_OK
        );
        assert!(
            std::str::from_utf8(std::slice::from_raw_parts(text, len))
                .is_ok_and(|text| !text.is_empty())
        );
        ztl_error_free(error);
    }
    assert_ne!(status, ZTL_ERR_PANIC);
}

fn decided(status: ztl_status, decision: &ztl_decision) {
    assert_eq!(decision.permit, u8::from(status == ZTL_OK));
    assert_eq!(decision.reason == ZTL_REASON_PERMITTED, status == ZTL_OK);
    assert_eq!(decision.reserved, [0; 3]);
    assert_eq!(decision.rule.last(), Some(&0));
}

/// Proves a peer. The honest chain is the only one there is.
fn prove(world: &World, chain: &[Certificate], request: &ztl_flow_request) -> *mut ztl_peer {
    let ders: Vec<Box<[u8]>> = (chain.iter().take(20))
        .map(|certificate| certificate.der(world))
        .collect();
    let chain: Box<[ztl_str]> = ders
        .iter()
        .map(|der| ztl_str {
            ptr: der.as_ptr(),
            len: der.len(),
        })
        .collect();
    let (mut peer, mut error) = (dangling(), dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_peer_prove(
            world.engine,
            request,
            chain.as_ptr(),
            chain.len(),
            &raw mut peer,
            &raw mut error,
        )
    };
    settled(status, error);
    assert_eq!(peer.is_null(), status != ZTL_OK);
    if !peer.is_null() {
        assert!(
            world.leaves.iter().any(|leaf| leaf[..] == ders[0][..]),
            "somebody else was proved"
        );
    }
    peer
}

impl Certificate {
    fn der(&self, world: &World) -> Box<[u8]> {
        let known = |which: &u8| &world.leaves[usize::from(*which) % world.leaves.len()];
        match self {
            Self::Known(which) => known(which).as_slice().into(),
            Self::Edited(which, place, byte) => {
                let mut der = known(which).clone();
                let len = der.len();
                der[usize::from(*place) % len] = *byte;
                der.into()
            }
            Self::Raw(der) => der.as_slice().into(),
        }
    }
}

fn permit(world: &World, request: &ztl_flow_request) -> *mut ztl_flow {
    let (mut flow, mut decision, mut error) = (dangling(), forged(), dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_flow_permit(
            world.engine,
            request,
            &raw mut flow,
            &raw mut decision,
            &raw mut error,
        )
    };
    settled(status, error);
    decided(status, &decision);
    assert_eq!(flow.is_null(), status != ZTL_OK);
    flow
}

fn explain(world: &World, connection: &ztl_flow_request, request: &ztl_action_request) {
    let (mut text, mut error) = (dangling(), dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_explain(
            world.engine,
            connection,
            request,
            ABSENT,
            &raw mut text,
            &raw mut error,
        )
    };
    settled(status, error);
    assert_eq!(text.is_null(), status != ZTL_OK);
    // SAFETY: NULL, or given just now.
    unsafe { ztl_text_free(text) };
}

/// Asks for an action on a flow; without one, for an explanation alone. Whether it was permitted.
fn ask(world: &World, flow: *mut ztl_flow, connection: &ztl_flow_request, asked: &Request) -> bool {
    let (method, target) = (Lent::new(&asked.method), Lent::new(&asked.target));
    let upgrade = asked.upgrade.as_ref().map(Lent::new);
    let texts: Vec<_> = (asked.fields.iter().take(40))
        .map(|(name, value)| (Lent::new(name), Lent::new(value)))
        .collect();
    let fields: Box<[ztl_header]> = (texts.iter())
        .map(|(name, value)| ztl_header {
            name: name.str(),
            value: value.str(),
        })
        .collect();
    let request = ztl_action_request {
        size: size_of::<ztl_action_request>(),
        flags: asked.flags.into(),
        method: method.str(),
        target: target.str(),
        upgrade: maybe(upgrade.as_ref()),
        headers: fields.as_ptr(),
        headers_len: fields.len(),
        now_unix: at(asked.at),
        trust_score: asked.score.unwrap_or(-1),
        reserved: 0,
        claims: ptr::null(),
    };
    if asked.explain {
        explain(world, connection, &request);
    }
    if flow.is_null() {
        return false;
    }
    let (mut reads, mut error) = (u32::MAX, dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_flow_reads(
            world.engine,
            flow,
            at(asked.at),
            &raw mut reads,
            &raw mut error,
        )
    };
    settled(status, error);
    assert!(status == ZTL_OK || reads == 0);
    let (mut decision, mut error) = (forged(), dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_action_authorize(
            world.engine,
            flow,
            &raw const request,
            &raw mut decision,
            &raw mut error,
        )
    };
    settled(status, error);
    decided(status, &decision);
    if status == ZTL_OK {
        assert_eq!(asked.flags, 0);
        assert_eq!(
            (&*method.0, &target.0[..4]),
            (b"GET".as_slice(), b"/v1/".as_slice())
        );
        let named = |name: &[u8]| {
            texts
                .iter()
                .any(|(field, _)| field.0.eq_ignore_ascii_case(name))
        };
        // T21: on the way in, a request says for whom it is.
        assert!(connection.flags == ZTL_FLOW_EGRESS || named(b"host") || named(b":authority"));
        let evil = b"By=spiffe://prod.example/front;URI=spiffe://prod.example/evil";
        let passes = |(name, value): &(Lent, Lent)| {
            name.0.eq_ignore_ascii_case(b"x-forwarded-client-cert") && *value.0 == evil[..]
        };
        assert!(
            reads & ZTL_READS_XFCC == 0 || !texts.iter().any(passes),
            "T12"
        );
    }
    refuse(
        world,
        flow,
        &request,
        u32::from(asked.at.unsigned_abs() % 32),
    );
    status == ZTL_OK
}

/// What the host refuses is denied, whatever it is.
fn refuse(world: &World, flow: *mut ztl_flow, request: &ztl_action_request, reason: u32) {
    let (mut decision, mut error) = (forged(), dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_action_refuse(
            world.engine,
            flow,
            request,
            reason,
            &raw mut decision,
            &raw mut error,
        )
    };
    settled(status, error);
    decided(status, &decision);
    assert_ne!(status, ZTL_OK);
    assert!(status != ZTL_DENIED || decision.reason == reason);
}

/// What is tried is what may be permitted: else nothing that is found out says anything.
static HONEST: LazyLock<()> = LazyLock::new(|| {
    let known = |text: &[u8]| Text::Raw(text.to_vec());
    let request = Request {
        method: known(b"GET"),
        target: known(b"/v1/items"),
        upgrade: None,
        fields: vec![(known(b"host"), known(b"shop.example"))],
        score: None,
        flags: 0,
        at: 0,
        explain: true,
    };
    let case = Case {
        caller: Caller::Honest(1),
        requests: vec![request],
    };
    assert_eq!(walk(&case), 1, "the honest caller is not served");
});

/// How many requests of a case are permitted.
fn walk(case: &Case) -> usize {
    let world = &*WORLD;
    let (chain, connection) = case.caller.parts();
    let me = Lent::new(&connection.me);
    let to = connection.to.as_ref().map(Lent::new);
    let from = connection.from.as_ref().map(Lent::new);
    let bare = ztl_flow_request {
        size: size_of::<ztl_flow_request>() + u32::from(connection.resized),
        port: connection.port.unwrap_or(8443),
        flags: connection.flags,
        me: me.str(),
        peer: ptr::null(),
        from_addr: maybe(from.as_ref()),
        now_unix: at(connection.at),
        to: maybe(to.as_ref()),
    };
    let peer = prove(world, &chain, &bare);
    let connection = ztl_flow_request { peer, ..bare };
    let flow = permit(world, &connection);
    let asked = case.requests.iter().take(8);
    let permitted = asked.filter(|asked| ask(world, flow, &connection, asked));
    let permitted = permitted.count();
    // SAFETY: NULL, or given above and not used any more.
    unsafe {
        ztl_flow_free(flow);
        ztl_peer_free(peer);
    }
    permitted
}

fuzz_target!(|case: Case| {
    LazyLock::force(&HONEST);
    walk(&case);
});
