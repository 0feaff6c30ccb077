//! The same walk without ztl: the same services on a flat network, in the clear, and nobody judges.

use std::error::Error;
use std::future::IntoFuture;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::attacker::{self, Attempt, Stands};
use crate::document::Document;
use crate::places::Places;
use crate::services::tools::Tools;
use crate::services::{Addresses, NAMES, Outbound, Service};
use crate::step::Step;
use crate::table::Section;
use crate::user::{self, User};
use crate::wire::{Answer, DEADLINE, Exchange, Protocol};

/// The five workloads with nothing around them.
pub(crate) struct Flat {
    places: Places,
    addresses: Arc<Addresses>,
    services: Vec<(&'static str, Service)>,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<std::io::Result<()>>,
}

impl Flat {
    pub(crate) async fn start(
        document: &Document,
        one_address: bool,
    ) -> Result<Self, Box<dyn Error>> {
        // The policy tells who stands where, and nothing else.
        let places = Places::of(&document.load()?, one_address)?;
        let mut listeners = Vec::new();
        let mut addresses = Addresses::new();
        for name in NAMES {
            let listener = TcpListener::bind((places.of_workload(name), 0)).await?;
            addresses.insert(name, listener.local_addr()?);
            listeners.push((name, listener));
        }
        let addresses = Arc::new(addresses);
        let stopping = watch::Sender::new(false);
        let (mut services, mut tasks) = (Vec::new(), JoinSet::new());
        for (name, listener) in listeners {
            let from = places.of_workload(name);
            let service = Service::new(Outbound::Flat(from, Arc::clone(&addresses)));
            let tools = Tools {
                from,
                addresses: Arc::clone(&addresses),
                tls: None,
            };
            let mut stop = stopping.subscribe();
            let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
            let serve = axum::serve(listener, service.routes(name, tools));
            tasks.spawn(serve.with_graceful_shutdown(stopped).into_future());
            services.push((name, service));
        }
        Ok(Self {
            places,
            addresses,
            services,
            stopping,
            tasks,
        })
    }

    /// Everything that the attacker tries works.
    pub(crate) async fn walk(&self) -> Result<Vec<Section>, Box<dyn Error>> {
        let to = *self.addresses.get("gateway").ok_or("no gateway")?;
        let user = User {
            from: self.places.user,
            to,
            tls: None,
        };
        let ask = || user.ask(None, Protocol::Http1);
        let first = self.served("gateway");
        let exchange = ask().await;
        let mut asks = self.step(
            "asks, nobody asks back",
            "user",
            "gateway",
            "POST /ask",
            Protocol::Http1,
        );
        self.came(&mut asks, &exchange, first);
        let before = said(&exchange);
        let mut steps = Vec::new();
        for attempt in attacker::plan() {
            for protocol in self.protocols(&attempt) {
                steps.extend(self.attack(&attempt, protocol).await?);
            }
        }
        let first = self.served("gateway");
        let exchange = ask().await;
        let mut again = self.step(
            "the user asks again",
            "user",
            "gateway",
            "POST /ask",
            Protocol::Http1,
        );
        self.came(&mut again, &exchange, first);
        again
            .notes
            .push(format!("the answer is now: {}", said(&exchange)));
        steps.push(again);
        Ok(vec![
            Section {
                title: "A flat network: a user asks",
                story: format!("asked:  {}\nanswer: {before}", user::QUESTION),
                steps: vec![asks],
            },
            Section {
                title: "The same attacker on the flat network",
                story: "The same attempts, in the clear: no certificate is asked for, and no rule is read.".to_owned(),
                steps,
            },
        ])
    }

    /// What is dropped once cannot be dropped again.
    fn protocols(&self, attempt: &Attempt) -> Vec<Protocol> {
        let drops = attempt
            .order
            .as_ref()
            .is_some_and(|order| order.method == "DELETE");
        let count = if drops { 1 } else { 2 };
        Protocol::BOTH.into_iter().take(count).collect()
    }

    async fn attack(
        &self,
        attempt: &Attempt,
        protocol: Protocol,
    ) -> Result<Vec<Step>, Box<dyn Error>> {
        let from: IpAddr = match attempt.stands {
            Stands::AtRouter => self.places.of_workload("router"),
            Stands::Outside => self.places.stray,
            Stands::Nowhere => self.places.nowhere,
        };
        let to = *self
            .addresses
            .get(attempt.target)
            .ok_or("no such workload")?;
        let action = format!("{} {}", attempt.method, attempt.path);
        let mut step = self.step(attempt.step, "attacker", attempt.target, &action, protocol);
        let first = self.served(attempt.target);
        let ordered = attempt
            .order
            .as_ref()
            .map(|order| self.served(&order.workload));
        let exchange = attacker::send(attempt, from, to, None, protocol).await;
        self.came(&mut step, &exchange, first);
        let (Some(order), Some(first)) = (&attempt.order, ordered) else {
            step.notes.push(format!("got: {}", exchange.body()));
            return Ok(vec![step]);
        };
        step.step = "talks the agent round".to_owned();
        let action = format!("{} {}", order.method, order.path);
        let label = format!("  to {}", attempt.step);
        let mut obeyed = self.step(&label, "retriever", &order.workload, &action, protocol);
        let told = exchange.body().get("tool").unwrap_or(&Value::Null);
        let status = told.get("status").and_then(Value::as_u64);
        self.passed(&mut obeyed, status, first);
        obeyed
            .notes
            .push(format!("got: {}", told.get("body").unwrap_or(told)));
        Ok(vec![step, obeyed])
    }

    fn step(
        &self,
        step: &str,
        caller: &str,
        target: &str,
        action: &str,
        protocol: Protocol,
    ) -> Step {
        Step {
            step: step.to_owned(),
            caller: caller.to_owned(),
            target: target.to_owned(),
            action: action.to_owned(),
            reason: "not_judged".to_owned(),
            protocol: Some(protocol),
            ..Step::default()
        }
    }

    fn came(&self, step: &mut Step, exchange: &Exchange, first: usize) {
        let status = match &exchange.answer {
            Answer::Status(status, _) => Some(u64::from(status.as_u16())),
            Answer::Alert(_) | Answer::Failed(_) => None,
        };
        self.passed(step, status, first);
    }

    /// Told is that it passes: 200, out of the target's handler.
    fn passed(&self, step: &mut Step, status: Option<u64>, first: usize) {
        step.heard = status.map(|status| status.to_string()).unwrap_or_default();
        let ran = self.served(&step.target) > first;
        let passed = status == Some(200) && ran;
        step.verdict = if passed { "permit" } else { "unknown" }.to_owned();
        if !passed {
            step.wrong.push(format!(
                "on a flat network it must pass; status {status:?}, a handler ran: {ran}"
            ));
        }
    }

    fn served(&self, name: &str) -> usize {
        let service = self.services.iter().find(|(known, _)| *known == name);
        service.map_or(0, |(_, service)| service.served())
    }

    pub(crate) async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        self.stopping.send_replace(true);
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended??;
            }
            Ok::<_, Box<dyn Error>>(())
        };
        timeout(DEADLINE, ended).await?
    }
}

fn said(exchange: &Exchange) -> String {
    user::answer(exchange).unwrap_or("no answer").to_owned()
}
