//! The service as it was before: four methods over a small map.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use ztl_tower::Peer;

use crate::route_guide_server::RouteGuide;
use crate::wire::{Feature, Point, Rectangle, RouteNote, RouteSummary};

/// Most notes that are kept at one place.
const MOST_NOTES: usize = 100;
/// Most places with notes.
const MOST_PLACES: usize = 1_000;

/// The map.
const MAP: [(&str, i32, i32); 4] = [
    ("the old mill", 472_340_000, 113_950_000),
    ("a bench under a lime tree", 472_350_000, 113_960_000),
    ("the ferry", 472_400_000, 114_000_000),
    ("the pass", 473_100_000, 115_200_000),
];

type Notes = Arc<Mutex<HashMap<Point, Vec<String>>>>;

/// The route guide.
#[derive(Debug, Default)]
pub(crate) struct Guide {
    notes: Notes,
}

fn features() -> impl Iterator<Item = Feature> {
    MAP.iter().map(|(name, latitude, longitude)| Feature {
        name: (*name).to_owned(),
        location: Some(Point {
            latitude: *latitude,
            longitude: *longitude,
        }),
    })
}

fn within(point: Point, area: &Rectangle) -> bool {
    let (lo, hi) = (area.lo.unwrap_or_default(), area.hi.unwrap_or_default());
    let between = |at: i32, one: i32, other: i32| (one.min(other)..=one.max(other)).contains(&at);
    between(point.latitude, lo.latitude, hi.latitude)
        && between(point.longitude, lo.longitude, hi.longitude)
}

#[tonic::async_trait]
impl RouteGuide for Guide {
    async fn get_feature(&self, request: Request<Point>) -> Result<Response<Feature>, Status> {
        let point = request.into_inner();
        let found = features().find(|feature| feature.location == Some(point));
        Ok(Response::new(found.unwrap_or(Feature {
            name: String::new(),
            location: Some(point),
        })))
    }

    type ListFeaturesStream = Pin<Box<dyn Stream<Item = Result<Feature, Status>> + Send>>;

    async fn list_features(
        &self,
        request: Request<Rectangle>,
    ) -> Result<Response<Self::ListFeaturesStream>, Status> {
        let area = request.into_inner();
        let inside = features()
            .filter(move |feature| feature.location.is_some_and(|point| within(point, &area)))
            .map(Ok);
        let inside: Vec<_> = inside.collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(inside))))
    }

    async fn record_route(
        &self,
        request: Request<Streaming<Point>>,
    ) -> Result<Response<RouteSummary>, Status> {
        let mut points = request.into_inner();
        let mut summary = RouteSummary::default();
        while let Some(point) = points.next().await {
            let point = point?;
            summary.point_count = summary.point_count.saturating_add(1);
            if features().any(|feature| feature.location == Some(point)) {
                summary.feature_count = summary.feature_count.saturating_add(1);
            }
        }
        Ok(Response::new(summary))
    }

    type RouteChatStream = Pin<Box<dyn Stream<Item = Result<RouteNote, Status>> + Send>>;

    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        // Proved by the handshake; no header says it.
        let who = request
            .extensions()
            .get::<Peer>()
            .map(|peer| peer.id().to_string())
            .ok_or_else(|| Status::unauthenticated("nobody was proved"))?;
        let mut notes = request.into_inner();
        let kept = Arc::clone(&self.notes);
        let (send, receive) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(Ok(note)) = notes.next().await {
                let point = note.location.unwrap_or_default();
                let earlier = {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = kept.len() < MOST_PLACES || kept.contains_key(&point);
                    if !room {
                        break;
                    }
                    let here = kept.entry(point).or_default();
                    let earlier = here.clone();
                    if here.len() < MOST_NOTES {
                        here.push(format!("{who}: {}", note.message));
                    }
                    earlier
                };
                for message in earlier {
                    let location = Some(point);
                    let note = RouteNote { location, message };
                    if send.send(Ok(note)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receive))))
    }
}
