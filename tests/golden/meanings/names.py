"""What several golden events name."""

ONE = "018f3c5e-7a10-7000-8000-000000000001"
TWO = "018f3c5e-7a10-7000-8000-000000000002"
THREE = "018f3c5e-7a10-7000-8000-000000000003"
POISON = (
    "1 workers or processes were lost while they ran this task; it is suspended so that it takes no more with"
    " it. The last one: process 7 was ended by signal 11"
)
SCHEDULE = "5b1c2a66-0f3e-4f0a-9c55-2d3c6b7a8e90"
