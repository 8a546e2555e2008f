"""All faults: those of each subject are listed where its module is imported."""

from doctor import (
    faults_of_blobs_and_clocks,
    faults_of_installation,
    faults_of_postgres,
    faults_of_redis,
    faults_of_schedules,
    faults_of_services,
    faults_of_settings,
    faults_of_tasks,
)
from doctor.faults import FAULTS

__all__ = [
    "FAULTS",
    "faults_of_blobs_and_clocks",
    "faults_of_installation",
    "faults_of_postgres",
    "faults_of_redis",
    "faults_of_schedules",
    "faults_of_services",
    "faults_of_settings",
    "faults_of_tasks",
]
